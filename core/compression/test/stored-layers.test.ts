import { StoredConv2D, StoredDense } from '@espalier/compression';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, expect, test } from 'vitest';

beforeAll(() => onBackend('cpu'));

const activations = ['softmax', 'sigmoid', 'relu', 'linear'] as const;
const conv = { filters: 2, kernelSize: 1 } as const;

/** A plain layer and the one that stores its matrix, by name. */
const PAIRS = activations.flatMap((activation) => [
  {
    name: `conv2d, ${activation}`,
    shape: [4, 3, 2],
    plain: tfl.layers.conv2d({ ...conv, activation }),
    stored: new StoredConv2D({ ...conv, activation }),
  },
  {
    name: `conv2d of channels first, ${activation}`,
    shape: [2, 4, 3],
    plain: tfl.layers.conv2d({ ...conv, activation, dataFormat: 'channelsFirst' }),
    stored: new StoredConv2D({ ...conv, activation, dataFormat: 'channelsFirst' }),
  },
  {
    name: `dense, ${activation}`,
    shape: [5],
    plain: tfl.layers.dense({ units: 3, activation }),
    stored: new StoredDense({ units: 3, activation }),
  },
]);

test.each(PAIRS)('a stored layer computes what the plain one does: $name', (pair) => {
  const x = tf.randomUniform([2, ...pair.shape], -1, 1, 'float32', 3);
  const expected = pair.plain.apply(x) as tf.Tensor;
  pair.stored.apply(x);
  const weights = pair.plain.getWeights().map((weight, i) => {
    return tf.reshape(tf.add(weight, 0.1 * i), pair.stored.getWeights()[i]!.shape);
  });
  pair.stored.setWeights(weights);
  pair.plain.setWeights(
    weights.map((weight, i) => tf.reshape(weight, pair.plain.getWeights()[i]!.shape)),
  );
  const [plain, stored] = [pair.plain, pair.stored].map((layer) => layer.apply(x) as tf.Tensor);
  expect(stored!.shape).toEqual(expected.shape);
  stored!.dataSync().forEach((value, i) => expect(value).toBeCloseTo(plain!.dataSync()[i]!, 6));
});
