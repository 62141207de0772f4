import { keyedRng, countMacsTo, listUncountedLayers, viewModel } from '@espalier/core';
import {
  earlyExitCurve,
  exitLogits,
  maxProbability,
  multiExit,
  predictEarly,
  profileExits,
} from '@espalier/plugin-multi-exit';
import { liveTensors, onBackend, tensorsLeakedBy, tinyData, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { residualNet, sequenceNet } from './models.js';
import { open } from './support.js';

const EXAMPLES = 23;

test('with a layer that does not tell its cost, costs are unknown, and the rest is as ever', async () => {
  class Silent extends tfl.layers.Layer {
    static readonly className = 'EarlyExitSilent';
    override call(inputs: Tensor | Tensor[]) {
      return tf.clone(Array.isArray(inputs) ? inputs[0]! : inputs);
    }
  }
  await onBackend('cpu');
  const input = tfl.input({ shape: [4] });
  const dense = (name: string, x: SymbolicTensor, units = 4) =>
    tfl.layers.dense({ name, units }).apply(x) as SymbolicTensor;
  const silent = new Silent({ name: 'silent' }).apply(dense('first', input)) as SymbolicTensor;
  const outputs = [dense('late', dense('second', silent), 3), dense('early', silent, 3)];
  const model = tfl.model({ inputs: input, outputs });
  const x = tf.linspace(-1, 1, 20);
  const examples = tf.reshape(x, [5, 4]);
  const prediction = await predictEarly(model, examples, { threshold: 0 });
  expect(prediction).toMatchObject({ exits: ['early', 'late'], macs: undefined });
  expect([...prediction.exitOf]).toEqual([0, 0, 0, 0, 0]);
  const curve = await earlyExitCurve(model, examples, [0, 1, 2, 0, 1]);
  expect(curve.map(({ macs }) => macs)).toEqual(curve.map(() => undefined));
  const profile = await profileExits(model, examples, { repeats: 1 });
  expect(profile.map(({ exit, macs }) => [exit, macs])).toEqual([
    ['early', undefined],
    ['late', undefined],
  ]);
  expect(listUncountedLayers(viewModel(model), ['late'])).toEqual(['silent (EarlyExitSilent)']);
  tf.dispose([x, examples]);
  model.dispose();
});

describe.each(['cpu', 'wasm'] as const)('early exit on %s', (backend) => {
  let model: LayersModel;
  let x: Tensor;
  let labels: Int32Array;

  beforeAll(async () => {
    await onBackend(backend);
    // One exit inside a block, where a stage has to carry two tensors.
    const at = ['block_1_out', 'block_2_conv'];
    model = await withSession(open(residualNet, [multiExit({ at })]), async (session) => {
      await session.fit({ epochs: 6 });
      return session.export({ outputs: ['exit_1', 'exit_2', 'logits'] });
    });
    const data = tinyData({ shape: [8, 8, 1], examples: EXAMPLES, seed: 1 });
    x = tf.tensor(data.x.data, [...data.x.shape]);
    labels = data.y.data as Int32Array;
  });
  afterAll(() => {
    x.dispose();
    model.dispose();
  });

  const logitsOf = (input: Tensor) => {
    const outputs = model.predict(input) as Tensor[];
    const byName = viewModel(model).outputNames.map((name, i) => [
      name,
      outputs[i]!.dataSync().slice(),
    ]);
    tf.dispose(outputs);
    return Object.fromEntries(byName) as Record<string, Float32Array>;
  };

  /** One example at a time, all exits computed, decided in plain code. */
  const slowly = (threshold: number) =>
    Array.from({ length: EXAMPLES }, (_, i) => {
      const row = tf.slice(x, i, 1);
      const logits = logitsOf(row);
      row.dispose();
      const exits = ['exit_1', 'exit_2', 'logits'].map((name) => softmax(logits[name]!));
      const sure = exits.findIndex((p) => Math.max(...p) >= threshold);
      const exit = sure < 0 ? 2 : sure;
      return { exit, label: exits[exit]!.indexOf(Math.max(...exits[exit]!)), p: exits[exit]! };
    });

  test('above every confidence, all rows get the full model’s output, bit for bit', async () => {
    const { exitOf, probabilities, exits } = await predictEarly(model, x, { threshold: 1.01 });
    expect(exits).toEqual(['exit_1', 'exit_2', 'logits']);
    expect([...exitOf]).toEqual(Array(EXAMPLES).fill(2));
    const full = logitsOf(x)['logits']!;
    const expected = Array.from({ length: EXAMPLES }, (_, i) => [
      ...softmax(full.subarray(3 * i, 3 * i + 3)),
    ]);
    expect([...probabilities]).toEqual([...Float32Array.from(expected.flat())]);
  });

  test.each([0, 0.4, 0.5, 0.6, 0.8, 0.95])('threshold %d: as one by one', async (threshold) => {
    const slow = slowly(threshold);
    for (const batchSize of [5, 128]) {
      const early = await predictEarly(model, x, { threshold, batchSize });
      expect([...early.exitOf]).toEqual(slow.map(({ exit }) => exit));
      expect([...early.labels]).toEqual(slow.map(({ label }) => label));
      const expected = slow.flatMap(({ p }) => [...p]);
      expected.forEach((p, i) => expect(early.probabilities[i]).toBeCloseTo(p, 5));
    }
  });

  test('thresholds between really split the rows over all exits', async () => {
    const cached = await exitLogits(model, x);
    const first = cached.logits[0]!;
    const confidences = Array.from({ length: EXAMPLES }, (_, i) =>
      maxProbability(softmax(first.subarray(3 * i, 3 * i + 3))),
    ).sort((a, b) => a - b);
    const threshold = confidences[11]!;
    const { exitOf, macs } = await predictEarly(model, x, { threshold });
    const leaving = exitOf.filter((exit) => exit === 0).length;
    expect(leaving).toBe(EXAMPLES - 11);
    const counts = [0, 1, 2].map((exit) => exitOf.filter((each) => each === exit).length);
    const mean = counts.reduce((sum, n, exit) => sum + n * cached.macs[exit]!, 0) / EXAMPLES;
    expect(macs).toBeCloseTo(mean, 6);
  });

  test('the curve replays what prediction does', async () => {
    const curve = await earlyExitCurve(model, x, labels);
    expect(curve).toHaveLength(22);
    for (const { threshold, accuracy, macs, histogram } of curve) {
      const early = await predictEarly(model, x, { threshold });
      const right = early.labels.filter((label, i) => label === labels[i]).length;
      expect(accuracy).toBeCloseTo(right / EXAMPLES, 10);
      expect(histogram).toEqual(
        [0, 1, 2].map((exit) => early.exitOf.filter((e) => e === exit).length),
      );
      expect(macs).toBeCloseTo(early.macs! / countMacsTo(viewModel(model), ['logits'])!, 10);
    }
    expect(curve[0]!.histogram).toEqual([EXAMPLES, 0, 0]);
    expect(curve.at(-1)!.histogram).toEqual([0, 0, EXAMPLES]);
    expect(curve.at(-1)!.macs).toBeGreaterThan(1);
  });

  test('other policies and fewer exits', async () => {
    const never = await predictEarly(model, x, { threshold: 0.5, policy: () => 0 });
    expect(new Set(never.exitOf)).toEqual(new Set([2]));
    const two = await predictEarly(model, x, { threshold: 0, exits: ['logits', 'exit_2'] });
    expect(two.exits).toEqual(['exit_2', 'logits']);
    expect(new Set(two.exitOf)).toEqual(new Set([0]));
    expect(two.macs).toBe(countMacsTo(viewModel(model), ['exit_2']));
  });

  test('profiles each exit: accuracy, macs, parameters, time', async () => {
    const rows = await profileExits(model, x, { labels, batchSize: 8, repeats: 3 });
    expect(rows.map(({ exit }) => exit)).toEqual(['exit_1', 'exit_2', 'logits']);
    const logits = logitsOf(x);
    for (const { exit, accuracy, macs, parameters, milliseconds } of rows) {
      const right = labels.filter((label, i) => {
        const row = logits[exit]!.subarray(3 * i, 3 * i + 3);
        return row.indexOf(Math.max(...row)) === label;
      });
      expect(accuracy).toBeCloseTo(right.length / EXAMPLES, 10);
      expect(macs).toBe(countMacsTo(viewModel(model), [exit]));
      expect(parameters).toBeGreaterThan(0);
      expect(milliseconds).toBeGreaterThan(0);
    }
    // stem 9·4+4, block 9·16+4 and 4·3+3 of the exit.
    expect(rows[0]!.parameters).toBe(40 + 148 + 15);
  });

  test('leaves no tensor and the model as it was', async () => {
    const nodes = model.layers.map((layer) => layer.inboundNodes.length);
    const leaked = await tensorsLeakedBy(async () => {
      await predictEarly(model, x, { threshold: 0.6, batchSize: 7 });
      await earlyExitCurve(model, x, labels, { thresholds: [0.5] });
      await profileExits(model, x, { labels, repeats: 1 });
    });
    expect(leaked).toBe(0);
    expect(model.layers.map((layer) => layer.inboundNodes.length)).toEqual(nodes);
    expect(x.isDisposed).toBe(false);
  });

  test('refuses what cannot work, and leaves no tensor', async () => {
    const before = liveTensors();
    const refused = (options: object, input: Tensor = x) =>
      expect(predictEarly(model, input, { threshold: 0.5, ...options })).rejects;
    await refused({ exits: ['exit_4'] }).toThrow(/no output 'exit_4'.*Did you mean 'exit_\d'/);
    await refused({ threshold: NaN }).toThrow(/threshold must be a finite number/);
    await refused({ batchSize: 0 }).toThrow(/batchSize must be a positive integer/);
    await expect(earlyExitCurve(model, x, [0, 1])).rejects.toThrow(/23 examples and 2 labels/);
    const flat = tf.zeros([2, 64]);
    await refused({}, flat).toThrow(
      /input 'image' must be a tensor of shape \[examples, 8, 8, 1\]/,
    );
    flat.dispose();
    expect(liveTensors()).toBe(before);
  });
});

test('goes down a plain sequential model, on the live model of a session', async () => {
  await onBackend('cpu');
  await withSession(open(sequenceNet, [multiExit({ at: ['conv_1'] })]), async (session) => {
    const x = tf.ones([3, 8, 2]);
    const early = await predictEarly(session.model, x, { threshold: 2 });
    const { logits } = await session.predict(x);
    const [p] = tf.tidy(() => tf.softmax(logits!).arraySync() as number[][]);
    expect(early.exits).toEqual(['exit_1', 'logits']);
    p!.forEach((each, i) => expect(early.probabilities[i]).toBeCloseTo(each, 6));
    tf.dispose([x, logits!]);
  });
});

test('any graph with exits anywhere gives the same as running it whole', async () => {
  await onBackend('cpu');
  const graph = fc.record({
    seed: fc.nat(1000),
    inbound: fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 2, maxLength: 6 }),
    exits: fc.uniqueArray(fc.nat(5), { minLength: 1, maxLength: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(graph, async (spec) => {
      const model = randomGraph(spec);
      const draw = keyedRng(spec.seed, 'x');
      const x = tf.tensor2d(
        Float32Array.from({ length: 12 }, () => 2 * draw() - 1),
        [4, 3],
      );
      const cached = await exitLogits(model, x);
      const whole = [model.predict(x)].flat() as Tensor[];
      const names = viewModel(model).outputNames;
      for (const [i, exit] of cached.exits.entries()) {
        const expected = whole[names.indexOf(exit)]!.dataSync();
        expect([...cached.logits[i]!]).toEqual([...expected]);
      }
      tf.dispose([x, whole]);
      model.dispose();
    }),
    { numRuns: 30, seed: 5 },
  );
});

/** Layers that each add two earlier tensors; some of them, and the last one, feed exits. */
function randomGraph({
  inbound,
  exits,
}: {
  inbound: readonly (readonly [number, number])[];
  exits: readonly number[];
}): LayersModel {
  const input = tfl.input({ shape: [3], name: 'input' });
  const tensors: SymbolicTensor[] = [input];
  inbound.forEach(([a, b], i) => {
    const [left, right] = [tensors[a % tensors.length]!, tensors[b % tensors.length]!];
    const sum =
      left === right
        ? left
        : (tfl.layers.add({ name: `add_${i}` }).apply([left, right]) as SymbolicTensor);
    tensors.push(
      tfl.layers
        .dense({ name: `layer_${i}`, units: 3, activation: 'tanh' })
        .apply(sum) as SymbolicTensor,
    );
  });
  const from = [
    ...new Set([...exits.map((i) => 1 + (i % (tensors.length - 1))), tensors.length - 1]),
  ];
  const outputs = from.map(
    (i) =>
      tfl.layers.dense({ name: `exit_at_${i}`, units: 2 }).apply(tensors[i]!) as SymbolicTensor,
  );
  return tfl.model({ inputs: input, outputs });
}

function softmax(logits: ArrayLike<number>): Float64Array {
  const row = Float64Array.from(logits);
  const largest = Math.max(...row);
  const powers = row.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
