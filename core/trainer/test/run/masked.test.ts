import {
  arraySource,
  binaryCrossEntropy,
  crossEntropy,
  meanSquaredError,
  sgd,
} from '@espalier/core';
import type { HostArray, Loss, SessionConfig } from '@espalier/core';
import {
  firstDifference,
  onBackend,
  tinyMlp,
  tinyNoisyMlp,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const SIZE = 4;
const x = (masked: number): HostArray => ({
  shape: [SIZE, 6],
  data: Float32Array.from({ length: SIZE * 6 }, (_, i) =>
    i >= 6 && i < 12 ? masked : Math.sin(i),
  ),
});
const rows = (masked: number, others: number[][]): HostArray => ({
  shape: [SIZE, others[0]!.length],
  data: Float32Array.from(
    [others[0]!, others[0]!.map(() => masked), others[1]!, others[2]!].flat(),
  ),
});

/** Losses, and targets of which the second example's are masked. */
const LOSSES: Record<string, readonly [Loss, (masked: number) => HostArray]> = {
  'class ids': [
    crossEntropy(),
    (masked) => ({ shape: [SIZE], data: Float32Array.from([0, masked, 1, 2]) }),
  ],
  distributions: [
    crossEntropy(),
    (masked) =>
      rows(masked, [
        [1, 0, 0],
        [0, 0.5, 0.5],
        [0, 0, 1],
      ]),
  ],
  bits: [
    binaryCrossEntropy(),
    (masked) =>
      rows(masked, [
        [1, 0, 1],
        [0, 0, 0],
        [0, 1, 1],
      ]),
  ],
  numbers: [
    meanSquaredError(),
    (masked) =>
      rows(masked, [
        [1, 0, -4],
        [0, 3, 0],
        [0, 1, 1],
      ]),
  ],
};

/** A loss term and a metric of a plugin, which know nothing of weights. */
const adding = plugin('adding', {
  apply(ctx) {
    const size = (outputs: Readonly<Record<string, tf.Tensor>>) =>
      tf.sum(tf.square(outputs['logits']!), -1) as tf.Tensor1D;
    ctx.hooks.loss.tap(({ outputs, terms, mean }) => terms.add('size', mean(size(outputs))));
    ctx.hooks.evaluate.tap(({ outputs, metric }) => metric('size', size(outputs)));
  },
});

const weights = Float32Array.from([1, 0, 2, 1]);

async function numbersOf(
  loss: Loss,
  data: { x: HostArray; y: HostArray },
  more: Partial<SessionConfig> = {},
) {
  const source = arraySource({ ...data, weights, batchSize: SIZE, shuffle: false });
  const config = {
    loss,
    train: source,
    validation: source,
    optimizer: sgd({ learningRate: 0.1 }),
    plugins: [adding],
    ...more,
  };
  return withSession(open(config), async (session) => {
    const { history } = await session.fit({ epochs: 2 });
    return { history, parameters: valuesOf(session.parameters()) };
  });
}

describe.each(Object.keys(LOSSES))('an example of weight 0, %s:', (name) => {
  const [loss, targets] = LOSSES[name]!;

  test.each([
    ['tinyMlp', tinyMlp],
    ['with batch normalization and dropout', tinyNoisyMlp],
  ])('NaN in it is as good as 0 in training and evaluation, %s', async (_model, model) => {
    const zero = await numbersOf(loss, { x: x(0), y: targets(0) }, { model });
    const broken = await numbersOf(loss, { x: x(NaN), y: targets(NaN) }, { model });
    expect(broken.history).toEqual(zero.history);
    expect(firstDifference(broken.parameters, zero.parameters)).toBeUndefined();
    expect(Object.values(broken.history.at(-1)!.metrics).every(Number.isFinite)).toBe(true);
  });

  test('what it holds changes nothing', async () => {
    const zero = await numbersOf(loss, { x: x(0), y: targets(0) });
    const other = await numbersOf(loss, { x: x(0.5), y: targets(1) });
    const close = (a: number, b: number) => expect(a).toBeCloseTo(b, 5);
    for (const [key, value] of Object.entries(zero.history.at(-1)!.metrics)) {
      close(other.history.at(-1)!.metrics[key]!, value);
    }
  });
});

test('a micro-batch of weight 0 counts for nothing in its window', async () => {
  const data = { x: x(NaN), y: LOSSES['class ids']![1](NaN) };
  const windowOf = async (accumulate: number, drop: boolean) => {
    const keep = <T extends HostArray>({ data: values, shape }: T) => {
      const width = values.length / SIZE;
      const kept = Array.from(values).filter((_, i) => !drop || Math.floor(i / width) !== 1);
      return { shape: [kept.length / width, ...shape.slice(1)], data: Float32Array.from(kept) };
    };
    const train = arraySource({
      x: keep(data.x),
      y: keep(data.y),
      weights: weights.filter((weight) => !drop || weight > 0),
      batchSize: 1,
      shuffle: false,
    });
    return withSession(open({ train, accumulate }), async (session) => {
      await session.fit({ epochs: 1 });
      return session.parameters()['logits/kernel']!.dataSync();
    });
  };
  const [masked, dropped] = [await windowOf(4, false), await windowOf(3, true)];
  masked.forEach((value, i) => expect(value).toBeCloseTo(dropped[i]!, 6));
});

test('NaN in an example that counts is named, not that of one that does not', async () => {
  const own: Loss = { ...crossEntropy(), targets: undefined as never };
  const data = x(NaN);
  data.data[20] = Infinity;
  const train = arraySource({
    x: data,
    y: LOSSES['class ids']![1](0),
    weights,
    batchSize: SIZE,
    shuffle: false,
  });
  await withSession(open({ loss: own, train }), async (session) => {
    const error = await refusal(() => session.fit({ epochs: 1 }));
    expect(error.code).toBe('step/non-finite');
    expect(error.message).toMatch(/Infinity in 'hidden_input', example 3/);
  });
});

describe('targets that do not fit are refused before the first step:', () => {
  const labels: Record<string, readonly [Loss, HostArray, string]> = {
    signs: [
      binaryCrossEntropy(),
      rows(-1, [
        [1, 1, 1],
        [1, 1, 1],
        [1, 1, 1],
      ]),
      'targets/probability',
    ],
    'several labels': [
      crossEntropy(),
      rows(1, [
        [1, 0, 0],
        [0, 1, 0],
        [0, 1, 0],
      ]),
      'targets/distribution',
    ],
    NaN: [
      meanSquaredError(),
      rows(NaN, [
        [1, 0, 0],
        [0, 1, 0],
        [0, 1, 0],
      ]),
      'targets/not-finite',
    ],
    'class ids of tfjs': [
      crossEntropy(),
      { shape: [SIZE, 1], data: Float32Array.from([0, 1, 2, 1]) },
      'targets/shape',
    ],
  };

  test.each(Object.keys(labels))('%s, from a source, in step, batch and evaluate', async (name) => {
    const [loss, y, code] = labels[name]!;
    const source = arraySource({ x: x(0), y, batchSize: SIZE });
    await withSession(open({ loss, train: source }), async (session) => {
      const before = valuesOf(session.parameters());
      const raw = {
        x: tf.tensor(x(0).data as Float32Array, [SIZE, 6]),
        y: tf.tensor(y.data as Float32Array, [...y.shape]),
      };
      for (const work of [
        () => session.fit({ epochs: 1 }),
        () => session.step(raw),
        () => session.batch(raw, 'mine'),
        () => session.evaluate(source),
      ]) {
        expect((await refusal(work)).code).toBe(code);
      }
      expect(firstDifference(valuesOf(session.parameters()), before)).toBeUndefined();
      expect(session.clock.step).toBe(0);
      tf.dispose([raw.x, raw.y]);
    });
  });
});

test('a model in one example’s way is no fault of it: embeddings of masked ids are left alone', async () => {
  const model = () =>
    tfl.sequential({
      layers: [
        tfl.layers.embedding({ inputDim: 5, outputDim: 2, inputLength: 2 }),
        tfl.layers.flatten(),
        tfl.layers.dense({ units: 2 }),
      ],
    });
  await withSession(open({ model, loss: meanSquaredError() }), async (session) => {
    const batch = await session.batch(
      {
        x: tf.tensor2d(
          [
            [0, 1],
            [2, 3],
          ],
          [2, 2],
          'int32',
        ),
        y: tf.tensor2d([
          [1, 1],
          [NaN, 0],
        ]),
        weights: tf.tensor1d([1, 0]),
      },
      'a',
    );
    expect(Number.isFinite(session.objective(batch).dataSync()[0])).toBe(true);
  });
});

test.each([99, -1, 1.5, NaN])('an example of weight 0 may hold the word %d', async (word) => {
  const model = () =>
    tfl.sequential({
      layers: [
        tfl.layers.embedding({ inputDim: 5, outputDim: 3, inputLength: 2 }),
        tfl.layers.flatten(),
        tfl.layers.dense({ name: 'logits', units: 3 }),
      ],
    });
  const words = (masked: number): HostArray => ({
    shape: [SIZE, 2],
    data: Float32Array.from([1, 2, masked, 3, 4, 0, 2, 2]),
  });
  const y = LOSSES['class ids']![1](0);
  const broken = await numbersOf(crossEntropy(), { x: words(word), y }, { model });
  const other = await numbersOf(crossEntropy(), { x: words(0), y }, { model });
  expect(broken.history).toEqual(other.history);
  expect(firstDifference(broken.parameters, other.parameters)).toBeUndefined();
});
