import { StoredConv2D, StoredDense, StoredEmbedding, StoredTiedDense } from '@espalier/compression';
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

test('a tied dense layer computes with the matrix of the embedding, and names what it cannot use', () => {
  const storage = { embeddings: { kind: 'float32' } };
  const shared = new StoredEmbedding({ inputDim: 7, outputDim: 3, shares: true, storage });
  const ids = tfl.input({ shape: [2], dtype: 'int32' });
  const [embedded, handle] = shared.apply(ids) as tfl.SymbolicTensor[];
  const dense = new StoredTiedDense({ units: 7, activation: 'sigmoid' });
  const logits = dense.apply([embedded, handle] as never) as tfl.SymbolicTensor;
  expect(logits.shape).toEqual([null, 2, 7]);
  const model = tfl.model({ inputs: ids, outputs: logits });
  expect(model.trainableWeights).toHaveLength(2);
  tf.tidy(() => {
    const words = tf.tensor2d([[5, 0]], [1, 2], 'int32');
    const [matrix] = shared.getWeights();
    const rows = tf.gather(matrix as tf.Tensor2D, tf.tensor1d([5, 0], 'int32'));
    const expected = tf.sigmoid(tf.matMul(rows, matrix as tf.Tensor2D, false, true)).dataSync();
    (model.predict(words) as tf.Tensor).dataSync().forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 6);
    });
    expect(dense.decodeRows(tf.tensor1d([5, 0], 'int32')).arraySync()).toEqual(rows.arraySync());
  });
  const other = tfl.input({ shape: [2] });
  const wrong = new StoredTiedDense({ units: 7 });
  expect(() => wrong.apply([embedded, other] as never)).toThrow(
    /7 words.*InputLayer.*storage\/tied/,
  );
  const larger = new StoredTiedDense({ units: 8 });
  expect(() => larger.apply([embedded, handle] as never)).toThrow(/8 units.*storage\/tied/);
});
