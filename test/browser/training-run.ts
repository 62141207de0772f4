import { useBackend } from '@espalier/backend';
import type { UseBackendOptions } from '@espalier/backend';
import { adam, createSession, crossEntropy, memoryStore } from '@espalier/core';
import type { CheckpointStore } from '@espalier/core';
import { byot } from '@espalier/preset-baselines';
import { tinyCnn, tinySource } from '@espalier/testkit';

/** One run, told in values that can leave a page. */
export interface Run {
  /** The loss of every step of this session. */
  readonly losses: readonly number[];
  /** SHA-256 of all parameters. */
  readonly weights: string;
}

/** An undisturbed run, and one of the same in two sessions that meet in the middle of an epoch. */
export interface Outcome {
  readonly line: string;
  readonly simd: boolean;
  readonly threads: number;
  readonly whole: Run;
  readonly before: Run;
  readonly after: Run;
}

/** Trains the tiny network with BYOT exits, on wasm unless asked; the same code in Node and in a page. */
export async function trainAndResume(options: UseBackendOptions): Promise<Outcome> {
  const backend = await useBackend({ prefer: 'wasm', ...options });
  const { line, simd, threads } = backend;
  const store = memoryStore();
  try {
    const whole = await train(memoryStore());
    const before = await train(store, 8);
    const after = await train(store);
    return { line, simd, threads, whole, before, after };
  } finally {
    backend.dispose();
  }
}

/** Three epochs of five steps, the store's included, or no further than a step of them. */
async function train(store: CheckpointStore, last = Infinity): Promise<Run> {
  const stop = new AbortController();
  const losses: number[] = [];
  const session = await createSession({
    model: tinyCnn,
    preset: byot({ at: ['stage1_relu', 'stage2_relu'] }),
    loss: crossEntropy(),
    optimizer: adam({ learningRate: 0.01 }),
    train: tinySource({ shape: [8, 8, 1], examples: 40 }),
    accumulate: 2,
    logInterval: 1,
    seed: 5,
    checkpoint: { store, everyEpochs: 1000 },
  });
  try {
    session.telemetry.on('step', ({ step, total }) => {
      losses.push(total);
      if (step >= last) stop.abort();
    });
    await session.load();
    await session.fit({ untilEpoch: 3, signal: stop.signal });
    return { losses, weights: await hash(session.parameters()) };
  } finally {
    await session.dispose();
  }
}

async function hash(parameters: Readonly<Record<string, { data(): Promise<unknown> }>>) {
  const paths = Object.keys(parameters).sort();
  const values = await Promise.all(paths.map((path) => parameters[path]!.data()));
  const bytes = await new Blob(values as Float32Array<ArrayBuffer>[]).arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
