import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { localExecutor, Planner, runStudy, buildStudy, listTrials } from '@espalier/study';
import type { Study } from '@espalier/study';
import type { BenchOptions, Figure } from './measure.js';

/** Where the study's references are relative to: the sources, so that trials load TypeScript. */
const FILE = fileURLToPath(new URL('../../bench/study.json', import.meta.url));

const base: Study['base'] = {
  model: { use: './study-parts.ts#model' },
  data: { train: './study-parts.ts#data', validation: './study-parts.ts#data' },
  loss: 'cross-entropy',
  optimizer: { use: 'sgd', options: { learningRate: 0.1 } },
  epochs: 1,
  backend: { prefer: ['wasm'] },
};

/** What a trial costs beside its training, and what it takes to plan many. */
export async function benchStudy({ quick }: BenchOptions): Promise<readonly Figure[]> {
  const dir = await mkdtemp(join(tmpdir(), 'espalier-bench-'));
  try {
    return [await overhead(dir, quick ? 3 : 9), ...(await plan(dir))];
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** From the start of a process to its result, less the seconds of training. */
async function overhead(dir: string, seeds: number): Promise<Figure> {
  const study = await buildStudy({ base, dir, seeds, primary: 'loss' }, FILE);
  const added: number[] = [];
  let started = 0;
  await runStudy(study, {
    executor: localExecutor({ concurrency: 1 }),
    onEvent(event) {
      if (event.type === 'start') started = performance.now();
      if (event.type !== 'end' || !('result' in event.record)) return;
      added.push((performance.now() - started) / 1000 - event.record.result.cost.seconds);
    },
  });
  added.sort((a, b) => a - b);
  const spread = `[${added[0]!.toFixed(2)}–${added.at(-1)!.toFixed(2)}], ${seeds} trials`;
  const value = added[Math.floor(added.length / 2)]!;
  return { name: 'overhead per trial', value, unit: 's', target: 0.8, spread };
}

/** 1000 rows of 10 seeds; memory from the first hundred rows to the last. */
async function plan(dir: string): Promise<readonly Figure[]> {
  const values = Array.from({ length: 9 }, (_, i) => i + 1);
  const factor = (path: string) =>
    Object.fromEntries(values.map((value) => [`${path}=${value}`, { set: { [path]: value } }]));
  const factors = {
    width: factor('model.options.units'),
    batch: factor('batchSize'),
    rate: factor('optimizer.options.learningRate'),
  };
  const study = await buildStudy(
    { base, dir, factors, design: 'grid', seeds: 10, primary: 'loss' },
    FILE,
  );
  const start = performance.now();
  const planner = await Planner.create(study);
  let [rows, trials, before] = [0, 0, 0];
  for await (const row of planner.rows()) {
    trials += listTrials(row, study.seeds).length;
    rows += 1;
    if (rows === 100) before = heap();
  }
  const value = (performance.now() - start) / 1000;
  const grown = (heap() - before) / 1e6;
  return [
    { name: `plan of ${trials} trials`, value, unit: 's', target: 2 },
    { name: 'memory grown over 900 rows of it', value: grown, unit: 'MB', target: 5 },
  ];
}

/** Live bytes, where the process may collect garbage; node --expose-gc. */
function heap(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed;
}
