import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unpackCheckpoint } from '@espalier/checkpoint';
import { createSession, crossEntropy, memoryStore, sgd } from '@espalier/core';
import type { RawBatch, RunManifest, Session } from '@espalier/core';
import { runProblem, unroll } from '@espalier/plugin-bilevel';
import { metadistiller } from '@espalier/preset-metadistiller';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { python, runPython } from './python.js';

const SHAPE = [6, 8, 8, 2];
const LABELS = [0, 1, 2, 0, 1, 2];
const WARMUP = 4;
const STEPS = 8;
const ALPHA = 0.3;
const LABELS_AFTER_WARMUP = 0.2;
const GENERATOR_RATE = 0.01;
const SHARE = 0.5;
const OUTER_WEIGHTS = { logits: 1, exit_1: 0.5, exit_2: 0.8 };
const OUTER_LOSS = {
  'task/*': OUTER_WEIGHTS.logits,
  'multi-exit/exit_1': OUTER_WEIGHTS.exit_1,
  'multi-exit/exit_2': OUTER_WEIGHTS.exit_2,
};

/** Numbers by parameter path. */
type ByPath = Readonly<Record<string, readonly number[]>>;

/** What metadistiller_step.py prints. */
interface Replica {
  readonly loss: number;
  readonly outer: readonly [before: number, after: number];
  readonly hypergradient: ByPath;
  readonly after: ByPath;
}

/** Three convolutions with batch normalization and ReLU, the exits behind the first two. */
function network() {
  const input = tfl.input({ shape: SHAPE.slice(1) });
  const unit = (i: number, filters: number, strides: number) => [
    tfl.layers.conv2d({
      name: `conv${i}`,
      filters,
      strides,
      kernelSize: 3,
      padding: 'same',
      useBias: false,
    }),
    tfl.layers.batchNormalization({ name: `bn${i}` }),
    tfl.layers.reLU({ name: `stage${i}` }),
  ];
  const all = [
    ...unit(1, 4, 1),
    ...unit(2, 6, 2),
    ...unit(3, 8, 2),
    tfl.layers.globalAveragePooling2d({}),
    tfl.layers.dense({ name: 'logits', units: 3 }),
  ];
  const outputs = all.reduce((x, layer) => layer.apply(x) as tfl.SymbolicTensor, input);
  return tfl.model({ inputs: input, outputs });
}

const OPTIMIZER = { momentum: 0.9, weightDecay: 5e-4 };
const rateAt = (step: number) => 0.05 * 0.95 ** step;

function open(): Promise<Session> {
  return createSession({
    model: network,
    loss: crossEntropy(),
    optimizer: sgd({ ...OPTIMIZER, learningRate: rateAt }),
    preset: {
      extends: metadistiller({ at: ['stage1', 'stage2'], alpha: ALPHA }),
      plugins: {
        'label-generator': {
          options: {
            channels: 3,
            learningRate: GENERATOR_RATE,
            labelWeight: { steps: WARMUP, then: LABELS_AFTER_WARMUP },
          },
        },
        bilevel: {
          options: { loss: OUTER_LOSS, interval: 1, warmup: 0, share: SHARE, estimator: 'unroll' },
        },
      },
    },
    seed: 3,
  });
}

const images = (seed: number) => tf.randomNormal(SHAPE, 0, 1, 'float32', seed);
const batch = (seed: number): RawBatch => ({ x: images(seed), y: tf.tensor1d(LABELS, 'int32') });
const isOuter = (path: string) => path.startsWith('label-generator:');

function trained(session: Session): ByPath {
  const all = Object.entries(session.parameters({ trainable: true }));
  return Object.fromEntries(all.map(([path, value]) => [path, Array.from(value.dataSync())]));
}

/**
 * Reads from a checkpoint: an optimizer's slots by parameter path, how many steps the generator's made, and the
 * running norm of the gradient that the labels give the generator.
 */
async function readState(session: Session) {
  const store = memoryStore();
  const file = await session.save(store);
  const bytes = await store.read(file);
  const { tensors, manifest } = await unpackCheckpoint(bytes, file);
  const slot = (name: string, paths: readonly string[]): ByPath =>
    Object.fromEntries(
      paths.map((path) => {
        const found = [...tensors].find(([key]) => new RegExp(`[/ ]${name}[/ ]${path}$`).test(key));
        return [path, Array.from(found![1].data as Float32Array)];
      }),
    );
  const { ownSteps, states } = manifest as RunManifest;
  const [square] = tensors.get('states/bilevel/push')!.data as Float32Array;
  const { pushWeight } = states['bilevel']!.json as { readonly pushWeight: number };
  const push = Math.sqrt(square! / pushWeight);
  return { slot, generatorSteps: ownSteps!['label-generator'], push };
}

/** What unrolling finds at the next step of a session. */
async function hypergradient(session: Session): Promise<ByPath> {
  const problem = runProblem(session, {
    variables: ['label-generator:*'],
    loss: OUTER_LOSS,
    microBatches: [await session.batch(batch(STEPS), 'inner')],
    outer: await session.batch(batch(STEPS + 1), 'outer'),
    optimizer: sgd({ learningRate: rateAt(STEPS) }),
  });
  const { gradients, outer } = unroll(problem);
  const found = Object.entries(gradients).map(([path, value]) => [
    path,
    Array.from(value.dataSync()),
  ]);
  tf.dispose([gradients, outer]);
  return Object.fromEntries(found) as ByPath;
}

/** Trains for some steps, and lets this and the replica take the next one. */
async function takeStep() {
  const session = await open();
  const start = trained(session);
  for (let i = 0; i < STEPS; i += 1) await session.step(batch(i), { next: batch(i + 1) });
  const before = trained(session);
  const [phi, theta] = [true, false].map((outer) =>
    Object.keys(before).filter((path) => isOuter(path) === outer),
  ) as [string[], string[]];
  const { slot, generatorSteps, push } = await readState(session);
  const shapes = session.parameters({ trainable: true });
  const given = {
    before: Object.fromEntries(
      Object.entries(before).map(([path, values]) => [
        path,
        { shape: shapes[path]!.shape, values },
      ]),
    ),
    slots: { b: slot('b', theta), m: slot('m', phi), v: slot('v', phi) },
    shape: SHAPE,
    images: Array.from(images(STEPS).dataSync()),
    labels: LABELS,
    nextImages: Array.from(images(STEPS + 1).dataSync()),
    nextLabels: LABELS,
    settings: {
      epsilon: { backbone: 1e-3, exits: 1e-5, generator: 1e-5 },
      exitWeight: 1,
      alpha: ALPHA,
      temperature: 3,
      labelWeight: LABELS_AFTER_WARMUP,
      innerRate: rateAt(STEPS),
      outerWeights: OUTER_WEIGHTS,
      rate: rateAt(STEPS),
      ...OPTIMIZER,
      generatorRate: GENERATOR_RATE,
      generatorSteps,
      hypergradientNorm: SHARE * push,
    },
  };
  const gradients = await hypergradient(session);
  const { total } = await session.step(batch(STEPS), { next: batch(STEPS + 1) });
  const after = trained(session);
  await session.dispose();
  return { start, before, given, gradients, total, after };
}

/** The replica's step, with other settings where they are given. */
function runReplica(given: object): Replica {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-metadistiller-'));
  try {
    writeFileSync(join(folder, 'step.json'), JSON.stringify(given));
    return runPython('metadistiller_step.py', join(folder, 'step.json')) as Replica;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** ‖a − b‖/‖c‖ over the paths of one kind. */
function gap(a: ByPath, b: ByPath, c: ByPath, of: (path: string) => boolean = () => true): number {
  const paths = Object.keys(b).filter(of);
  const length = (value: (path: string, i: number) => number) =>
    Math.hypot(...paths.flatMap((path) => b[path]!.map((_, i) => value(path, i))));
  return length((path, i) => a[path]![i]! - b[path]![i]!) / length((path, i) => c[path]![i]!);
}

const difference = (a: ByPath, b: ByPath): ByPath =>
  Object.fromEntries(
    Object.keys(b).map((path) => [path, b[path]!.map((each, i) => a[path]![i]! - each)]),
  );

describe.skipIf(!python)('a step of MetaDistiller against its replica in float64', () => {
  let ours: Awaited<ReturnType<typeof takeStep>>;
  let replica: Replica;
  beforeAll(async () => {
    await onBackend('cpu');
    ours = await takeStep();
    replica = runReplica(ours.given);
  });

  test('the generator has left its initial values, and both move it', () => {
    const { start, before, after } = ours;
    expect(gap(before, start, start, isOuter)).toBeGreaterThan(0.05);
    expect(gap(after, before, before, isOuter)).toBeGreaterThan(1e-3);
  });

  test('the loss', () => {
    expect(Math.abs(ours.total / replica.loss - 1)).toBeLessThan(1e-5);
  });

  test('the hypergradient', () => {
    const { hypergradient: expected } = replica;
    expect(gap(ours.gradients, expected, expected)).toBeLessThan(1e-5);
  });

  test('θ and φ after the step, and how far they went', () => {
    const { before, after } = ours;
    const moved = difference(replica.after, before);
    for (const of of [isOuter, (path: string) => !isOuter(path)]) {
      expect(gap(after, replica.after, before, of)).toBeLessThan(1e-5);
      expect(gap(after, replica.after, moved, of)).toBeLessThan(1e-5);
    }
  });

  test('a step by other rules is told apart', () => {
    const { given, after, before } = ours;
    const settings = { ...given.settings, innerRate: 0.1 };
    const other = runReplica({ ...given, settings });
    const moved = difference(other.after, before);
    expect(gap(after, other.after, moved, isOuter)).toBeGreaterThan(1e-3);
  });
});
