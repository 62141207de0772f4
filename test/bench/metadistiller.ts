import { useBackend } from '@espalier/backend';
import { createSession, crossEntropy, sgd } from '@espalier/core';
import type { Preset, RawBatch, Session, Source } from '@espalier/core';
import { resnet } from '@espalier/examples/networks';
import { ESTIMATORS, runProblem, verify } from '@espalier/plugin-bilevel';
import { deeplySupervised } from '@espalier/preset-deeply-supervised';
import { metadistiller } from '@espalier/preset-metadistiller';
import * as tf from '@tensorflow/tfjs-core';
import { timeInTurn } from './measure.js';
import type { BenchOptions, Figure, Timing } from './measure.js';
import { round } from './measure.js';

const BATCH = 32;
const SHAPE = [28, 28, 1];
const at = ['stage1', 'stage2'];
const NAMES = ['finite-difference', 'jvp', 'unroll'] as const;

/** What a meta step adds to a step of ResNet-8 with exits, by estimator, and what memory it takes. */
export async function benchMetadistiller({ quick }: BenchOptions): Promise<readonly Figure[]> {
  const backend = await useBackend({ prefer: ['wasm'], threads: 1 });
  const batch = batchOf(1);
  const held = repeated(batchOf(2));
  const sessions = {
    plain: await open(deeplySupervised({ at, branch: 'bottleneck' })),
    'without meta': await open(meta(held, 'jvp', 1e9)),
    'finite-difference': await open(meta(held, 'finite-difference')),
    jvp: await open(meta(held, 'jvp')),
    unroll: await open(meta(held, 'unroll')),
  };
  const contenders = Object.fromEntries(
    Object.entries(sessions).map(([name, session]) => [name, () => session.step(batch)]),
  ) as Record<keyof typeof sessions, () => Promise<unknown>>;
  const times = await timeInTurn(contenders, { rounds: quick ? 3 : 11 });
  const figures = [
    added('generator and distillation', times, 'without meta', 'plain'),
    ...NAMES.map((name) => added(`meta step, ${name}`, times, name, 'without meta', TARGETS[name])),
    ...(await memory(sessions.jvp, batch)),
    await growth(sessions.jvp, batch, quick ? 50 : 500),
  ];
  for (const session of Object.values(sessions)) await session.dispose();
  backend.dispose();
  return figures;
}

/** In steps of the plain network with exits. */
const TARGETS: Readonly<Record<string, number>> = { jvp: 3 };

function meta(held: Source, estimator: (typeof NAMES)[number], warmup = 0): Preset {
  const options = { estimator, warmup, interval: 1 };
  return {
    extends: metadistiller({ at, generator: { labels: 0 }, meta: options }),
    plugins: { bilevel: { bind: { 'outer-data': { use: () => held } } } },
  };
}

function open(preset: Preset): Promise<Session> {
  return createSession({
    model: () => resnet({ depth: 8, shape: [28, 28, 1], classes: 10 }),
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.01, momentum: 0.9 }),
    preset,
  });
}

/** The same batch without end. */
function repeated({ x, y }: { readonly x: tf.Tensor; readonly y: tf.Tensor }): Source {
  return {
    fingerprint: () => Promise.resolve('noise'),
    async *iterate() {
      for (;;) yield await Promise.resolve({ x: x.clone(), y: y.clone() });
    },
  };
}

function batchOf(seed: number) {
  return {
    x: tf.randomNormal([BATCH, ...SHAPE], 0, 1, 'float32', seed),
    y: tf.tensor1d(
      Array.from({ length: BATCH }, (_, i) => i % 10),
      'int32',
    ),
  };
}

type Times = Readonly<Record<string, Timing>>;

/** How many plain steps the one takes more than the other. */
function added(name: string, times: Times, more: string, less: string, target?: number): Figure {
  const [a, b, plain] = [times[more]!, times[less]!, times['plain']!];
  const value = (a.median - b.median) / plain.median;
  const shown = [a, b, plain].map(({ median, min, max }) =>
    [round(median), `[${round(min)}–${round(max)}]`].join(' '),
  );
  const spread = `(${shown[0]} − ${shown[1]}) / ${shown[2]} ms`;
  return { name: `${name}, added`, value, unit: 'plain steps', spread, ...(target && { target }) };
}

/** Peaks of each estimator, and whether it is right, on the same problem. */
async function memory(session: Session, batch: RawBatch): Promise<readonly Figure[]> {
  const problem = runProblem(session, {
    variables: ['label-generator:*'],
    loss: ['task/*', 'multi-exit/*'],
    window: [await session.batch(batch, 'inner')],
    outer: await session.batch(batchOf(3), 'outer'),
    optimizer: sgd({ learningRate: 0.1 }),
  });
  const { 'first-order': _, ...estimators } = ESTIMATORS;
  const { results } = await verify(problem, { estimators, directions: 4, step: 0.02, runs: 1 });
  return results.map(({ estimator, peakBytes, peakTensors }) => ({
    name: `peak memory, ${estimator}`,
    value: peakBytes / 1e6,
    unit: 'MB',
    spread: `${peakTensors} tensors`,
  }));
}

/** Tensors and bytes that stay, over many meta steps. */
async function growth(session: Session, batch: RawBatch, steps: number): Promise<Figure> {
  await session.step(batch);
  const before = tf.memory();
  for (let i = 0; i < steps; i += 1) await session.step(batch);
  const after = tf.memory();
  return {
    name: `tensors grown over ${steps} meta steps`,
    value: after.numTensors - before.numTensors,
    unit: 'tensors',
    target: 0,
    spread: `${after.numBytes - before.numBytes} bytes`,
  };
}
