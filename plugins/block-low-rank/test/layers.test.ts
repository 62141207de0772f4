import { buildModel, extractGraph } from '@espalier/core';
import {
  BlockLowRankDense,
  BlockLowRankEmbedding,
  BlockLowRankTiedDense,
  topK,
  topKSearch,
} from '@espalier/plugin-block-low-rank';
import type { Block } from '@espalier/plugin-block-low-rank';
import { backendsUnderTest, finiteDifferences, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { permutation, randomMatrix } from './models.js';

const D = 5;
const BLOCKS: readonly Block[] = [
  { rows: 3, rank: null },
  { rows: 7, rank: 3 },
  { rows: 10, rank: 1 },
];
const WORDS = 20;

interface Weights {
  readonly arrays: Readonly<Record<string, Float32Array>>;
  readonly index: Int32Array | undefined;
}

const weightsFor = (permuted: boolean): Weights => ({
  arrays: {
    w0: randomMatrix(3, D, 1),
    u1: randomMatrix(7, 3, 2),
    u2: randomMatrix(10, 1, 3),
    basis: randomMatrix(4, D, 4),
  },
  index: permuted ? permutation(WORDS) : undefined,
});

/** The slow reference: every row by its definition, by word id. */
function reference({ arrays, index }: Weights): number[][] {
  const rowAt = (position: number): number[] => {
    const { w0, u1, u2, basis } = arrays as Record<string, Float32Array>;
    return Array.from({ length: D }, (_, j) => {
      if (position < 3) return w0![position * D + j]!;
      if (position >= 10) return u2![position - 10]! * basis![3 * D + j]!;
      let sum = 0;
      for (let k = 0; k < 3; k++) sum += u1![(position - 3) * 3 + k]! * basis![k * D + j]!;
      return sum;
    });
  };
  return Array.from({ length: WORDS }, (_, word) => rowAt(index ? index[word]! : word));
}

function fill(layer: tfl.layers.Layer, { arrays, index }: Weights, bias?: Float32Array): void {
  const values = layer.weights.map(({ originalName, shape }) => {
    const name = originalName.split('/').at(-1)!;
    if (name === 'index') return tf.tensor1d(index!, 'int32');
    return tf.tensor(name === 'bias' ? bias! : arrays[name]!, shape as number[]);
  });
  layer.setWeights(values);
  tf.dispose(values);
}

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  describe.each([false, true])('rows permuted: %s', (permuted) => {
    const weights = weightsFor(permuted);
    const expected = reference(weights);

    test('an embedding looks up the rows of word ids', async () => {
      const layer = new BlockLowRankEmbedding({ outputDim: D, blocks: BLOCKS, permuted });
      layer.build([null, 4]);
      fill(layer, weights);
      const ids = tf.tensor2d([0, 19, 7, 3, 2, 2, 12, 9], [2, 4], 'int32');
      const found = layer.call(ids) as tf.Tensor;
      expect(found.shape).toEqual([2, 4, D]);
      const rows = [...(await ids.data())].map((id) => expected[id]!);
      near(await found.data(), rows.flat());
    });

    test('a dense layer multiplies with every row and adds the bias in unit order', async () => {
      const layer = new BlockLowRankDense({ blocks: BLOCKS, permuted, activation: 'relu' });
      layer.build([null, 2, D]);
      const bias = randomMatrix(WORDS, 1, 9);
      fill(layer, weights, bias);
      const x = randomMatrix(6, D, 5);
      const out = layer.call(tf.tensor3d(x, [3, 2, D]));
      expect(out.shape).toEqual([3, 2, WORDS]);
      const wanted = Array.from({ length: 6 }, (_, n) =>
        expected.map((row, w) => Math.max(0, dot(row, x.subarray(n * D, n * D + D)) + bias[w]!)),
      );
      near(await out.data(), wanted.flat());
    });

    test('gradients reach factors and input as finite differences say', async () => {
      const layer = new BlockLowRankDense({ blocks: BLOCKS, permuted, useBias: false });
      layer.build([null, D]);
      fill(layer, weights);
      const x = tf.tensor2d(randomMatrix(2, D, 6), [2, D]);
      const mix = tf.tensor2d(randomMatrix(2, WORDS, 7), [2, WORDS]);
      const f = (input: tf.Tensor) => tf.sum(tf.mul(layer.call(input), mix)) as tf.Scalar;
      near(await tf.grad(f)(x).data(), finiteDifferences(f as never, [x])[0]!, 2e-2);

      const embedding = new BlockLowRankEmbedding({ outputDim: D, blocks: BLOCKS, permuted });
      embedding.build([null, 3]);
      fill(embedding, weights);
      const ids = tf.tensor2d([1, 9, 19], [1, 3], 'int32');
      const direction = tf.tensor3d(randomMatrix(3, D, 8), [1, 3, D]);
      const loss = () => tf.sum(tf.mul(embedding.call(ids) as tf.Tensor, direction)) as tf.Scalar;
      const { grads } = tf.variableGrads(loss);
      for (const variable of embedding.trainableWeights) {
        const { val } = variable as unknown as { val: tf.Variable };
        const at = (value: tf.Tensor) => {
          const before = val.clone();
          val.assign(value);
          const result = loss();
          val.assign(before);
          return result;
        };
        const numeric = finiteDifferences(at as never, [val.clone()])[0]!;
        near(await grads[val.name]!.data(), numeric, 2e-2);
      }
    });

    test('topK and a search made ready agree with sorting all scores', async () => {
      const layer = new BlockLowRankDense({ blocks: BLOCKS, permuted });
      layer.build([null, D]);
      fill(layer, weights, randomMatrix(WORDS, 1, 9));
      const x = tf.tensor2d(randomMatrix(3, D, 11), [3, D]);
      const scores = (await (layer.call(x) as tf.Tensor2D).array()) as number[][];
      const before = tf.memory().numTensors;
      const best = await topK(layer, x, 4);
      const search = await topKSearch(layer);
      expect((await search.find(x, 4)).indices).toEqual(best.indices);
      near((await search.find(x, 4)).values, best.values);
      search.dispose();
      expect(tf.memory().numTensors).toBe(before);
      scores.forEach((row, n) => {
        const order = row.map((_, i) => i).sort((a, b) => row[b]! - row[a]!);
        expect([...best.indices.subarray(n * 4, n * 4 + 4)]).toEqual(order.slice(0, 4));
        near(
          best.values.subarray(n * 4, n * 4 + 4),
          order.slice(0, 4).map((i) => row[i]!),
        );
      });
    });

    test('a tied dense layer uses the factors of the embedding that shares them', async () => {
      const shared = new BlockLowRankEmbedding({
        outputDim: D,
        blocks: BLOCKS,
        permuted,
        shares: true,
      });
      const input = tfl.input({ shape: [3], dtype: 'int32' });
      const [embedded, ...factors] = shared.apply(input) as tfl.SymbolicTensor[];
      const pooled = tfl.layers.globalAveragePooling1d({}).apply(embedded!) as tfl.SymbolicTensor;
      const tied = new BlockLowRankTiedDense({ blocks: BLOCKS, permuted, useBias: false });
      const model = tfl.model({
        inputs: input,
        outputs: tied.apply([pooled, ...factors]) as tfl.SymbolicTensor,
      });
      fill(shared, weights);
      const twin = buildModel(
        JSON.parse(
          JSON.stringify({ topology: extractGraph(model).topology, weights: {} }),
        ) as never,
      );
      twin.setWeights(model.getWeights());
      const ids = tf.tensor2d([4, 4, 19], [1, 3], 'int32');
      const mean = Array.from(
        { length: D },
        (_, j) => (2 * expected[4]![j]! + expected[19]![j]!) / 3,
      );
      const wanted = expected.map((row) => dot(row, mean));
      near(await (model.predict(ids) as tf.Tensor).data(), wanted);
      near(await (twin.predict(ids) as tf.Tensor).data(), wanted);
    });
  });
});

function near(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-5): void {
  expect(actual.length).toBe(expected.length);
  Array.from(actual).forEach((value, i) => {
    expect(Math.abs(value - expected[i]!)).toBeLessThan(tolerance);
  });
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a).reduce((sum, value, i) => sum + value * b[i]!, 0);
}
