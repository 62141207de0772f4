import { StoredDense } from '@espalier/compression';
import { createSession, crossEntropy, sgd } from '@espalier/core';
import type { Plugin } from '@espalier/core';
import { blockCodes, topK, topKSearch } from '@espalier/plugin-block-low-rank';
import type { SearchableLayer } from '@espalier/plugin-block-low-rank';
import { quantizer } from '@espalier/plugin-quantizer';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import { backendsUnderTest, liveTensors, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { randomMatrix, tinyLanguageModel, tinyText, zipf } from './models.js';

const [WORDS, COLUMNS] = [150, 8];
const layers = ['embedding', 'softmax'];
const byCounts = () => vocabPartition({ counts: zipf(WORDS) });

/** A model whose softmax holds the embedding's matrix. */
function tiedModel() {
  const model = tinyLanguageModel({ words: WORDS, columns: COLUMNS });
  tf.tidy(() => {
    const [matrix] = model.getLayer('embedding').getWeights() as [Tensor2D];
    const [, bias] = model.getLayer('softmax').getWeights();
    model.getLayer('softmax').setWeights([tf.transpose(matrix), ...(bias ? [bias] : [])]);
  });
  return model;
}

const WAYS: Readonly<
  Record<string, { plugins: () => Plugin[]; model?: typeof tiedModel; layer: string }>
> = {
  'codes of blocks': {
    plugins: () => [byCounts(), blockCodes({ layers, ratio: 3 })],
    layer: 'StoredDense',
  },
  'codes of blocks, tied to the embedding': {
    model: tiedModel,
    plugins: () => [byCounts(), blockCodes({ layers, ratio: 3 })],
    layer: 'StoredTiedDense',
  },
  'product codes': {
    plugins: () => [quantizer({ layers, bits: 3, codebook: { parts: 4 } })],
    layer: 'StoredDense',
  },
  '8 bits': { plugins: () => [quantizer({ layers })], layer: 'StoredDense' },
};

/** A softmax after the transform, and what frees it. */
async function makeLayer({ plugins, model }: (typeof WAYS)[string]) {
  const session = await createSession({
    model: model ?? (() => tinyLanguageModel({ words: WORDS, columns: COLUMNS })),
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1 }),
    train: tinyText({ words: WORDS }),
    plugins: plugins(),
  });
  await session.transform();
  return { layer: session.model.getLayer('softmax') as SearchableLayer, session };
}

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each(Object.keys(WAYS))('the best are those of sorting all scores: %s', async (way) => {
    const { layer, session } = await makeLayer(WAYS[way]!);
    expect(layer.getClassName()).toBe(WAYS[way]!.layer);
    const x = tf.tensor2d(randomMatrix(3, COLUMNS, 1), [3, COLUMNS]);
    const scores = (layer as StoredDense).scores(x);
    const { values, indices } = tf.topk(scores, 7);
    const [expected, units] = [await values.data(), await indices.data()];
    const before = liveTensors();
    const search = await topKSearch(layer);
    for (const found of [await topK(layer, x, 7), await search.find(x, 7)]) {
      expect(found.k).toBe(7);
      expect([...found.indices]).toEqual([...units]);
      found.values.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 5));
    }
    search.dispose();
    expect(liveTensors()).toBe(before);
    await expect(topK(layer, x, WORDS + 1)).rejects.toThrow(/from 1 to 150.*Received: 151.*top-k/);
    await expect(topK(layer, tf.transpose(x), 1)).rejects.toThrow(/\[rows, 8\].*top-k\/shape/);
    tf.dispose([x, scores, values, indices]);
    await session.dispose();
  });

  test('inputs of more scores than are held at a time are searched in parts', async () => {
    const [units, rows] = [2 ** 21, 5];
    const layer = new StoredDense({
      units,
      useBias: false,
      storage: { kernel: { kind: 'float32' } },
    });
    layer.build([null, 1]);
    const kernel = tf.tensor2d(
      Float32Array.from({ length: units }, (_, i) => -Math.abs(i - 1e6)),
      [1, units],
    );
    layer.setWeights([kernel]);
    const x = tf.tensor2d([1, 2, -1, 0, 3], [rows, 1]);
    const { indices } = await topK(layer, x, 1);
    expect([...indices]).toEqual([1e6, 1e6, units - 1, 0, 1e6]);
    tf.dispose([kernel, x, ...layer.weights.map((weight) => weight.read())]);
  });

  test('a plain dense layer is refused by name', async () => {
    const layer = tfl.layers.dense({ units: 4, inputShape: [2] }) as unknown as SearchableLayer;
    const refused = /topK wants a dense layer.*Received: 'Dense'.*tf\.topk.*top-k\/layer/;
    await expect(topK(layer, tf.zeros([1, 2]), 1)).rejects.toThrow(refused);
    await expect(topKSearch(layer)).rejects.toThrow(refused);
  });
});
