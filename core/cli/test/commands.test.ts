import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixtures } from './espalier.js';
import { run } from './in-process.js';

const fixture = (name: string) => join(fixtures, name);

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-commands-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('espalier eval', () => {
  it('evaluates the newest checkpoint on the test data, as text and as JSON', async () => {
    const dir = ['--set', `checkpoint.dir=${folder}`];
    const config = fixture('run.json');
    const early = await run('eval', config, ...dir);
    expect(early).toMatchObject({ code: 1, stdout: '' });
    expect(early.stderr).toContain('there is no checkpoint in');

    expect((await run('train', config, '--quiet', ...dir)).code).toBe(0);
    const text = await run('eval', config, ...dir);
    const json = await run('eval', config, '--json', '--checkpoint', folder);
    const validation = await run('eval', config, '--json', '--split', 'validation', ...dir);
    expect(text.stdout).toMatch(/^test\n {2}loss +[\d.e-]+\n {2}accuracy +[\d.]+\n$/);
    const { split, metrics } = JSON.parse(json.stdout) as {
      split: string;
      metrics: Record<string, number>;
    };
    expect(split).toBe('test');
    expect(text.stdout).toContain(String(Number(metrics['accuracy']!.toPrecision(5))));
    expect(JSON.parse(validation.stdout)).toMatchObject({ split: 'validation' });
  });

  it('says so where there is no such data', async () => {
    const ended = await run('eval', fixture('espalier.config.ts'), '--split', 'test');
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('the configuration has no test data');
  });
});

describe('espalier inspect', () => {
  it('shows the order, origins, hooks and parameters', async () => {
    const set = ['--set', 'plugins.penalty.options.weight=0.5'];
    const { code, stdout } = await run('inspect', fixture('run.json'), ...set);
    expect(code).toBe(0);
    expect(stdout).toMatch(/1\. +penalty +1\.0\.0 +\(by id\)/);
    expect(stdout).toMatch(/penalty\.use +"\.\/parts\.ts#penalty" +\(preset calm\)/);
    expect(stdout).toMatch(/penalty\.options\.weight +0\.5 +\(--set\)/);
    expect(stdout).toMatch(/loss +sync +penalty/);
    expect(stdout).toMatch(/hidden\/kernel +\[4, 8\] +model/);
    expect(stdout).toMatch(/moving_mean +\[8\] +model +not trained/);
    expect(stdout).toContain('99 in all');
  });

  it('shows the plugins of several presets that one extends, in JSON', async () => {
    const presets = ['./parts.ts#calm', '@espalier/preset-baselines#labelSmoothing'];
    const set = `preset=${JSON.stringify({ extends: presets, plugins: {} })}`;
    const { code, stdout } = await run('inspect', fixture('run.json'), '--set', set);
    expect(code).toBe(0);
    expect(stdout).toMatch(/label-smoothing +0\.1\.0.*\n.*penalty +1\.0\.0/);
  });

  it('shows loss, optimizer and epochs, and the file as the origin of its plugins', async () => {
    const fromJson = await run('inspect', fixture('plugins.json'));
    expect(fromJson.stdout).toMatch(
      /loss +mean-squared-error\n +optimizer +sgd {"options":{"learningRate":0\.1}}\n +semantics +espalier\n +epochs +not set\n/,
    );
    expect(fromJson.stdout).toMatch(/penalty\.options\.weight +0\.3 +\(plugins\.json\)/);
    const fromTs = await run('inspect', fixture('espalier.config.ts'));
    expect(fromTs.stdout).toMatch(
      /loss +cross-entropy \(code\)\n +optimizer +.* \(code\)\n.*\n +epochs +3\n/,
    );
  });

  it('prints the same manifest as JSON for TypeScript and JSON configurations', async () => {
    const inspected = async (file: string) => {
      const { stdout } = await run('inspect', fixture(file), '--json');
      return JSON.parse(stdout) as { manifest: { hash: string }; outputs: string[] };
    };
    const [fromJson, fromTs] = [await inspected('run.json'), await inspected('espalier.config.ts')];
    expect(fromJson.outputs).toEqual(['logits']);
    expect(fromJson.manifest).toEqual(fromTs.manifest);
  });
});

describe('espalier explain', () => {
  it('says who taps a hook and why there', async () => {
    const { code, stdout } = await run('explain', fixture('run.json'), 'loss');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^loss \[sync\] .*\n {2}1\. penalty \(by id\)\n$/);
  });

  it('suggests hooks', async () => {
    const ended = await run('explain', fixture('run.json'), 'lose');
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toContain("Did you mean 'loss'?");
  });
});
