import { useBackend } from '@espalier/backend';
import type { BackendName } from '@espalier/backend';
import { adam, createSession, crossEntropy, disposeRaw, keyedRng, sgd } from '@espalier/core';
import type { EspalierError, Preset, RawBatch, Session, Source } from '@espalier/core';
import { loadDigits, sourceOf } from '@espalier/examples/digits';
import { resnet } from '@espalier/examples/networks';
import {
  conjugateGradient,
  finiteDifference,
  jvp,
  neumann,
  runProblem,
  unroll,
  verify,
} from '@espalier/plugin-bilevel';
import type { BilevelProblem, Hypergradient } from '@espalier/plugin-bilevel';
import { deeplySupervised } from '@espalier/preset-baselines';
import { metadistiller } from '@espalier/preset-metadistiller';
import * as tf from '@tensorflow/tfjs-core';
import { round, timeInTurn } from './measure.js';
import type { BenchOptions, Figure, Timing } from './measure.js';

const BATCH = 32;
const SHAPE = [28, 28, 1];
const at = ['stage1', 'stage2'];
const ESTIMATORS = { 'finite-difference': finiteDifference, jvp, unroll };
const NAMES = ['finite-difference', 'jvp', 'unroll'] as const;

/** With four products of a vector and the curvature each; damped, so that a network in training is not refused. */
const IMPLICIT = {
  neumann: neumann({ terms: 5, rate: 5e-4, damping: 1e3 }),
  'neumann by differences': neumann({
    terms: 5,
    rate: 5e-4,
    damping: 1e3,
    products: 'differences',
  }),
  'conjugate gradient': conjugateGradient({ iterations: 4, tolerance: 0, damping: 1e3 }),
  'conjugate gradient by differences': conjugateGradient({
    iterations: 4,
    tolerance: 0,
    damping: 1e3,
    products: 'differences',
  }),
};

/**
 * What a meta step adds to a step of ResNet-8 with exits, by estimator, on wasm and on libtensorflow where
 * that is installed; what memory it takes, and whether it does what it is for.
 */
export async function benchMetadistiller({ quick }: BenchOptions): Promise<readonly Figure[]> {
  const rounds = quick ? 3 : 11;
  const figures = await on('wasm', async () => [
    ...(await addedCost(rounds)),
    ...(await costOfMemory(quick ? 3 : 500)),
    await notLowered(quick ? 4 : 100),
  ]);
  const native = await on('tfjs-node-gpu', () => addedCost(rounds)).catch((error: unknown) => {
    if ((error as EspalierError).code !== 'backend/none-available') throw error;
    return [];
  });
  return [...figures, ...native.map((figure) => ({ ...figure, name: `${figure.name}, native` }))];
}

async function on<T>(name: BackendName, measure: () => Promise<T>): Promise<T> {
  const backend = await useBackend({ prefer: [name], threads: 1 });
  try {
    return await measure();
  } finally {
    backend.dispose();
  }
}

async function addedCost(rounds: number): Promise<readonly Figure[]> {
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
  const times = await timeInTurn(contenders, { rounds });
  for (const session of Object.values(sessions)) await session.dispose();
  return [
    added('generator and distillation', times, 'without meta', 'plain'),
    ...NAMES.map((name) => added(`meta step, ${name}`, times, name, 'without meta', TARGETS[name])),
  ];
}

async function costOfMemory(steps: number): Promise<readonly Figure[]> {
  const batch = batchOf(1);
  const session = await open(meta(repeated(batchOf(2)), 'jvp'));
  const figures = [...(await memory(session, batch)), await growth(session, batch, steps)];
  await session.dispose();
  return figures;
}

/** In steps of the plain network with exits. */
const TARGETS: Readonly<Record<string, number>> = { jvp: 3 };

function meta(held: Source, estimator: (typeof NAMES)[number], warmup = 0): Preset {
  const options = { estimator, warmup, interval: 1 };
  return {
    extends: metadistiller({ at, generator: { labelWeight: 0 }, meta: options }),
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

/**
 * How often an outer step leaves the outer loss no lower on the batches that it was made of: the
 * virtual step again, with the generator before and after. On digits, while the network learns them.
 */
async function notLowered(pairs: number): Promise<Figure> {
  const session = await open(metadistiller({ at, meta: false }));
  const { train } = loadDigits({
    train: Math.ceil((2 * pairs * BATCH) / 10),
    validation: 0,
    test: 0,
  });
  const stream = keyedRng(0, 'bench');
  const batches = sourceOf(train, BATCH, true).iterate({ epoch: 0, skip: 0, stream });
  const iterator = batches[Symbol.asyncIterator]();
  const take = async () => (await iterator.next()).value as RawBatch;
  const move = outerSteps();
  let count = 0;
  for (let i = 0; i < pairs; i += 1) {
    const [window, outer] = [await take(), await take()];
    const problem = await problemOf(session, window, outer);
    const before = await move(problem);
    const { outer: loss, gradients } = jvp(problem);
    const [after] = await loss.data();
    if (after! >= before) count += 1;
    tf.dispose([loss, ...Object.values(gradients)]);
    await session.step(window);
    [window, outer].forEach(disposeRaw);
  }
  await session.dispose();
  const name = 'outer steps that do not lower the outer loss';
  return {
    name,
    value: count / pairs,
    unit: 'of all',
    target: 0.1,
    spread: `${count} of ${pairs}`,
  };
}

/** Moves the outer variables by the plugin's default optimizer; gives the outer loss before. */
function outerSteps(): (problem: BilevelProblem) => Promise<number> {
  const optimizer = adam({ learningRate: 1e-3 });
  let slots: ReturnType<typeof optimizer.init> | undefined;
  let step = 0;
  return async (problem) => {
    const { phi } = problem;
    const { gradients, outer } = jvp(problem);
    tf.tidy(() => {
      const old = slots ?? optimizer.init(phi);
      const { updates, state: next } = optimizer.update(gradients, old, phi, { step });
      Object.entries(updates).forEach(([path, update]) =>
        (phi[path] as tf.Variable).assign(tf.add(phi[path]!, update)),
      );
      Object.values(next).forEach((slot) => Object.values(slot).forEach((each) => tf.keep(each)));
      slots = next;
    });
    step += 1;
    const [before] = await outer.data();
    tf.dispose([outer, ...Object.values(gradients)]);
    return before!;
  };
}

async function problemOf(session: Session, inner: RawBatch, outer: RawBatch) {
  return runProblem(session, {
    variables: ['label-generator:*'],
    loss: ['task/*', 'multi-exit/*'],
    microBatches: [await session.batch(inner, 'inner')],
    outer: await session.batch(outer, 'outer'),
    optimizer: sgd({ learningRate: 0.1 }),
  });
}

/** Time and peaks of each estimator, on the same problem. */
async function memory(session: Session, batch: RawBatch): Promise<readonly Figure[]> {
  const problem = await problemOf(session, batch, batchOf(3));
  const all = { ...ESTIMATORS, ...IMPLICIT };
  const { results, failed } = await verify(problem, {
    estimators: all,
    reference: 'unroll',
    runs: 1,
  });
  Object.values(failed).forEach((why) => console.warn(why));
  const figures: Figure[] = [];
  for (const { estimator, peakBytes, peakTensors } of results) {
    const value = await cpuTime(() => all[estimator as keyof typeof all](problem));
    figures.push(
      { name: `CPU time, ${estimator}`, value, unit: 'ms', spread: 'one run' },
      {
        name: `peak memory, ${estimator}`,
        value: peakBytes / 1e6,
        unit: 'MB',
        spread: `${peakTensors} tensors`,
      },
    );
  }
  return figures;
}

/** Milliseconds of processor time, which other programs on the machine do not lengthen as they do the clock's. */
async function cpuTime(run: () => Hypergradient): Promise<number> {
  const start = process.cpuUsage();
  const { outer, gradients } = run();
  await outer.data();
  const { user, system } = process.cpuUsage(start);
  tf.dispose([outer, gradients]);
  return (user + system) / 1000;
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
