import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readJsonl } from '@espalier/core/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build, espalier, fixtures } from './espalier.js';
import type { Options } from './espalier.js';
import { run } from './in-process.js';

const config = join(fixtures, 'run.json');

let folder = '';
beforeAll(async () => {
  build();
  folder = await mkdtemp(join(tmpdir(), 'espalier-train-'));
});
afterAll(() => rm(folder, { recursive: true }));

const into = (dir: string) => ['--set', `checkpoint.dir=${join(folder, dir)}`];
const newest = async (dir: string) => {
  const names = (await readdir(join(folder, dir))).sort();
  const name = names[names.length - 1]!;
  return { name, bytes: await readFile(join(folder, dir, name)) };
};

/** Sends the signal when the run says that it has paused. */
function whenPaused(signal: NodeJS.Signals, env: Options['env'] = {}): Options {
  let sent = false;
  return {
    env: { PAUSE_AT: '3', ...env },
    onOutput(output, child) {
      if (!sent && output.includes('paused\n')) sent = child.kill(signal);
    },
  };
}

describe('espalier train', () => {
  it('goes on after Ctrl-C with bit-identical weights', async () => {
    const [whole, cut] = await Promise.all([
      espalier(['train', 'espalier.config.ts', ...into('whole')]),
      espalier(['train', 'espalier.config.ts', ...into('cut')], whenPaused('SIGINT')),
    ]);
    expect(whole).toMatchObject({ code: 0 });
    expect(whole.stderr).toContain(
      `Done: 3 epochs, 18 steps. Checkpoints: ${join(folder, 'whole')}`,
    );
    expect(cut.code).toBe(130);
    expect((await newest('cut')).name).toBe('step-000000010.safetensors');

    const command = /npx espalier (train .*)/.exec(cut.stderr)?.[1];
    expect(command).toBe(`train espalier.config.ts ${into('cut').join(' ')} --resume`);
    const resumed = await espalier(command!.split(' '));
    expect(resumed).toMatchObject({ code: 0 });
    expect(await newest('cut')).toEqual(await newest('whole'));
  });

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'ends in the middle of a validation on %s, and resumes to the undisturbed run',
    async (signal) => {
      const args = ['train', 'espalier.config.ts', '--epochs', '1', ...into(signal)];
      const cut = await espalier(args, whenPaused(signal, { PAUSE_IN: 'validation' }));
      expect(cut.code).toBe(signal === 'SIGINT' ? 130 : 143);
      expect(cut.stderr).toContain('Saved at step 6.');
      const inProcess = [join(fixtures, 'espalier.config.ts'), '--epochs', '1'];
      expect(await run('train', ...inProcess, ...into(signal), '--resume')).toMatchObject({
        code: 0,
      });
      await run('train', ...inProcess, ...into(`${signal} whole`));
      expect(await newest(signal)).toEqual(await newest(`${signal} whole`));
    },
  );

  it('has nothing to save in espalier eval, which ends at once', async () => {
    await run('train', config, '--epochs', '1', ...into('evaluated'));
    const args = ['eval', 'run.json', '--split', 'validation', ...into('evaluated')];
    const ended = await espalier(
      args,
      whenPaused('SIGINT', { PAUSE_IN: 'validation', PAUSE: 'for good' }),
    );
    expect(ended).toMatchObject({ code: null, stdout: 'paused\n' });
  });

  it.each(['train', 'validation'])('ends at once on a second Ctrl-C, in %s', async (data) => {
    let presses = 0;
    const ended = await espalier(['train', 'run.json', ...into(`twice ${data}`)], {
      env: { PAUSE_AT: '0', PAUSE: 'for good', ...(data !== 'train' && { PAUSE_IN: data }) },
      onOutput(output, child) {
        const awaited = presses === 0 ? 'paused\n' : 'Once more';
        if (!output.includes(awaited) || presses === 2) return;
        presses += 1;
        child.kill('SIGINT');
      },
    });
    expect(ended.code).toBe(130);
    const saved = (await readdir(join(folder, `twice ${data}`))).filter(
      (name) => !name.startsWith('.'),
    );
    expect(saved).toEqual(data === 'train' ? ['step-000000006.safetensors'] : []);
  });

  it('says that nothing was saved where there is no checkpoint folder', async () => {
    const ended = await espalier(['train', 'run.json'], whenPaused('SIGTERM'));
    expect(ended.code).toBe(143);
    expect(ended.stderr).toContain('Nothing is saved without checkpoint');
  });

  it('tells loss terms, and why this backend, only with --verbose', async () => {
    const prefer = ['--set', 'backend={"prefer":["webgpu","cpu"]}', '--epochs', '1'];
    const short = await run('train', config, ...prefer);
    const long = await run('train', config, ...prefer, '--verbose');
    expect(short.stderr).toMatch(/^backend cpu \(.*\); why this one: --verbose$/m);
    expect(short.stderr).not.toMatch(/passed over|penalty/);
    expect(long.stderr).toMatch(/^backend cpu \(.*\); passed over webgpu/m);
    expect(long.stderr).toMatch(/unweighted terms: .*loss\/penalty\/logits/);
  });

  it('resumes from a file, refuses to mix runs, and writes telemetry', async () => {
    const telemetry = join(folder, 'run.jsonl');
    const first = ['train', config, '--epochs', '1', ...into('a')];
    const log = ['--set', `log={"interval":3,"jsonl":"${telemetry}"}`];
    expect(await run(...first, ...log)).toMatchObject({ code: 0, stdout: '' });
    const { events } = await readJsonl(telemetry);
    expect(events.map(({ event }) => event)).toEqual([
      ...['stage', 'start', 'epochStart', 'step', 'step', 'epoch', 'checkpoint', 'finish'],
    ]);

    const again = await run(...first);
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(
      /checkpoints of an earlier run.*train \S*run\.json .*epochs=1.* --resume/,
    );

    const from = join(folder, 'a', 'step-000000006.safetensors');
    const other = await run('train', config, '--resume', from, ...into('b'));
    expect(other).toMatchObject({ code: 0 });
    expect((await newest('b')).name).toBe('step-000000018.safetensors');

    const seeded = ['train', config, '--seed', '8', '--resume', ...into('a')];
    const mismatch = await run(...seeded);
    expect(mismatch.code).toBe(1);
    expect(mismatch.stderr).toMatch(
      /its seed was 7, now it is 8.* by name: --allow-mismatch seed\. /,
    );
    const allowed = await run(...seeded, '--allow-mismatch', 'seed');
    expect(allowed).toMatchObject({ code: 0 });
    const dir = ['--set', 'seed=9', '--set', `checkpoint.dir=${join(folder, 'a')}`];
    expect(await run('eval', config, ...dir)).toMatchObject({ code: 1 });
    expect(await run('eval', config, ...dir, '--allow-mismatch', 'seed')).toMatchObject({
      code: 0,
    });
  });
});
