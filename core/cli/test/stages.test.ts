import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onBackend } from '@espalier/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixtures } from './espalier.js';
import { run } from './in-process.js';

const config = join(fixtures, 'staged.json');

let folder = '';
beforeAll(async () => {
  await onBackend('cpu');
  folder = await mkdtemp(join(tmpdir(), 'espalier-stages-'));
});
afterAll(() => rm(folder, { recursive: true }));

const into = (dir: string) => ['--set', `checkpoint.dir=${join(folder, dir)}`];
const evaluated = async (dir: string, ...sets: string[]) => {
  const split = ['--split', 'validation', '--json'];
  const { stdout, stderr } = await run('eval', config, ...split, ...into(dir), ...sets);
  const { metrics } = JSON.parse(stdout) as { metrics: Record<string, number> };
  return { metrics, stderr };
};

describe('a configuration with stages', () => {
  it('trains stage by stage, and says so; eval loads the transformed model', async () => {
    const { code, stderr } = await run('train', config, ...into('whole'));
    expect(code).toBe(0);
    const told = stderr.split('\n').filter((line) => /^(stage|transformed|Done)/.test(line));
    expect(told).toEqual([
      'stage 1/3: 2 epochs',
      'stage 2/3: transform by quantizer',
      expect.stringMatching(/^transformed \| val\/loss [\d.]+ {2}val\/accuracy [\d.]+$/),
      'stage 3/3: 1 epoch',
      expect.stringMatching(/^Done: 3 epochs, 18 steps/),
    ]);
    expect(stderr).not.toContain('warning');
    const plain = ['--set', 'stages=[{"epochs":3}]'];
    await run('train', config, '--quiet', ...into('plain'), ...plain);
    const [staged, unstaged] = [await evaluated('whole'), await evaluated('plain', ...plain)];
    expect(staged.stderr).toBe('');
    expect(staged.metrics['loss']).not.toBe(unstaged.metrics['loss']);
  });

  it('is resumed in the stage that it was in, to the same bits', async () => {
    const newest = 'step-000000018.safetensors';
    // What a run leaves that was killed before the transform, and one killed after it.
    for (const [left, kept, stage] of [
      ['before', 'step-000000006.safetensors', 'stage 1/3'],
      ['after', 'step-000000012.safetensors', 'stage 3/3'],
    ] as const) {
      await run('train', config, '--quiet', ...into(left), '--set', 'checkpoint.keep=9');
      for (const name of ['step-000000006.safetensors', 'step-000000012.safetensors', newest]) {
        if (name > kept) await rm(join(folder, left, name));
      }
      expect((await evaluated(left)).stderr).toMatch(/not over.*stage [13] of 3/);
      const { code, stderr } = await run('train', config, '--resume', ...into(left));
      expect({ code, begins: stderr.includes(`${stage}:`) }).toEqual({ code: 0, begins: true });
      const [cut, whole] = [left, 'whole'].map((dir) => readFile(join(folder, dir, newest)));
      expect((await cut)!.equals((await whole)!)).toBe(true);
    }
    await cp(join(folder, 'whole'), join(folder, 'done'), { recursive: true });
    const again = await run('train', config, '--resume', ...into('done'));
    expect(again.stderr).toContain('Done: 3 epochs, 18 steps');
  });

  it('leaves out of its transforms a plugin that is removed', async () => {
    const { code, stderr } = await run('train', config, '--set', 'plugins.quantizer=false');
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('transform by no plugin') as string,
    });
  });

  it.each([
    ['--epochs', '3', 'epochs and stages exclude each other'],
    ['--set', 'stages.0={}', 'must have one of epochs: 3 and transform'],
    ['--set', 'stages.1.transform=["quantiser"]', "Did you mean 'quantizer'"],
    ['--set', 'stages=[]', "option 'stages'"],
  ])('is refused before the first step: %s %s', async (option, value, message) => {
    const { code, stderr } = await run('train', config, option, value);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('epoch 1');
  });

  it('is shown by inspect and explain', async () => {
    const { stdout } = await run('inspect', config);
    expect(stdout).toMatch(
      /semantics +espalier\n +stages +2 epochs → transform by quantizer → 1 epoch\n/,
    );
    const explained = await run('explain', config, 'transform');
    expect(explained.stdout).toMatch(/1\. quantizer.*quantizer: in stage 2\n$/s);
    const none = await run('explain', config, '--set', 'stages=[{"epochs":1}]');
    expect(none.stdout).toMatch(/quantizer: never: no stage names it\n$/);
    const other = await run('inspect', config, '--set', 'semantics=tfjs');
    expect(other.stdout).toMatch(/semantics +tfjs/);
  });

  it('without a stage for it, says that a transform never ran', async () => {
    const { code, stderr } = await run('train', config, '--set', 'stages=[{"epochs":1}]');
    expect(code).toBe(0);
    expect(stderr.match(/no transform of 'quantizer' has run/g)).toHaveLength(1);
  });
});
