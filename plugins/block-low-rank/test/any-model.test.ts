import { compressionReport } from '@espalier/compression';
import type { Plugin, Session } from '@espalier/core';
import {
  arraySource,
  buildModel,
  createSession,
  crossEntropy,
  extractGraph,
  sgd,
} from '@espalier/core';
import { packArtifact, unpackArtifact } from '@espalier/formats';
import { blockLowRank, topK } from '@espalier/plugin-block-low-rank';
import type { BlockLowRankDense } from '@espalier/plugin-block-low-rank';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import { backendsUnderTest, liveTensors, onBackend, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { COLUMNS, openTiny, randomMatrix, tinyLanguageModel, WORDS, zipf } from './models.js';

type Symbolic = tfl.SymbolicTensor;

const STEPS = 4;
const IDS = [3, 1, 0, 0, 59, 30, 7, 7, 12, 0, 0, 0];

const ids = (name = 'ids') => tfl.input({ name, shape: [STEPS], dtype: 'int32' });
const words = (options: Partial<Parameters<typeof tfl.layers.embedding>[0]> = {}) =>
  tfl.layers.embedding({ name: 'words', inputDim: WORDS, outputDim: COLUMNS, ...options });
const softmax = (options: Partial<Parameters<typeof tfl.layers.dense>[0]> = {}) =>
  tfl.layers.dense({ name: 'softmax', units: WORDS, ...options });

function through(input: Symbolic, ...layers: readonly tfl.layers.Layer[]): Symbolic {
  return layers.reduce((x, layer) => layer.apply(x) as Symbolic, input);
}

/** A model all of whose matrices are of rank 2. */
function model(inputs: Symbolic | Symbolic[], outputs: Symbolic | Symbolic[]): tfl.LayersModel {
  const made = tfl.model({ inputs, outputs });
  made.layers.forEach((layer, i) => {
    const values = layer.getWeights().map(({ shape }, j) => smallRank(shape, 10 * i + j));
    layer.setWeights(values);
    tf.dispose(values);
  });
  return made;
}

function smallRank(shape: readonly number[], seed: number): tf.Tensor {
  const [rows, columns] = shape as [number, number?];
  if (columns === undefined) return tf.tensor1d(randomMatrix(rows, 1, seed));
  const left = tf.tensor2d(randomMatrix(rows, 2, seed), [rows, 2]);
  const right = tf.tensor2d(randomMatrix(2, columns, seed), [2, columns]);
  return tf.tidy(() => tf.matMul(left, right));
}

const MODELS: Readonly<Record<string, () => tfl.LayersModel>> = {
  'scores at every step, with an activation': () => {
    const input = ids();
    return model(input, through(input, words(), softmax({ activation: 'softmax' })));
  },
  'a dense layer without bias': () => {
    const input = ids();
    const flat = through(input, words(), tfl.layers.globalAveragePooling1d({}));
    return model(input, through(flat, softmax({ useBias: false, activation: 'tanh' })));
  },
  'masked words before an LSTM': () => {
    const input = ids();
    const lstm = tfl.layers.lstm({ name: 'lstm', units: COLUMNS, returnSequences: false });
    return model(input, through(input, words({ maskZero: true }), lstm, softmax()));
  },
  'a dense layer between masked words and an LSTM': () => {
    const input = ids();
    const lstm = tfl.layers.lstm({ name: 'lstm', units: 3 });
    return model(input, through(input, words({ maskZero: true }), softmax(), lstm));
  },
  'several embeddings': () => {
    const [left, right] = [ids('left'), ids('right')];
    const tags = words({ name: 'tags', inputDim: 70 });
    const both = tfl.layers.concatenate({ axis: -1 });
    const joined = both.apply([through(left, words()), through(right, tags)]) as Symbolic;
    return model([left, right], through(joined, softmax()));
  },
  'an embedding used twice': () => {
    const [left, right] = [ids('left'), ids('right')];
    const shared = words();
    const sum = tfl.layers.add().apply([through(left, shared), through(right, shared)]) as Symbolic;
    return model([left, right], through(sum, softmax()));
  },
  'a dense layer used twice': () => {
    const input = ids();
    const shared = softmax();
    const embedded = through(input, words());
    const once = through(embedded, shared);
    const again = through(embedded, tfl.layers.activation({ activation: 'tanh' }), shared);
    return model(input, tfl.layers.add().apply([once, again]) as Symbolic);
  },
  'scores of words and scores of something else': () => {
    const input = ids();
    const pooled = through(input, words(), tfl.layers.globalAveragePooling1d({}));
    const other = tfl.layers.dense({ name: 'topics', units: 50 });
    const both = [through(pooled, softmax()), through(pooled, other)];
    return model(input, tfl.layers.concatenate().apply(both) as Symbolic);
  },
};

/** A session that only transforms. */
async function opened(make: () => tfl.LayersModel, plugins: readonly Plugin[]): Promise<Session> {
  return createSession({
    model: make,
    plugins,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1 }),
    train: arraySource({
      x: { data: new Int32Array(8 * STEPS), shape: [8, STEPS] },
      y: { data: new Int32Array(8), shape: [8] },
      batchSize: 4,
    }),
    backend: { prefer: [tf.getBackend() === 'wasm' ? 'wasm' : 'cpu'] },
  });
}

async function outputsOf(made: tfl.LayersModel): Promise<number[]> {
  const batch = () => tf.tensor2d(IDS, [IDS.length / STEPS, STEPS], 'int32');
  const found = tf.tidy(() => made.predict(made.inputs.map(batch)) as tf.Tensor);
  const values = await found.data();
  found.dispose();
  return [...values];
}

function near(actual: readonly number[], expected: readonly number[], tolerance = 1e-4): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((x, i) => expect(Math.abs(x - expected[i]!)).toBeLessThan(tolerance));
}

/** Exact factors of permuted blocks, of which the first is dense. */
const exact = () => [
  vocabPartition({
    counts: zipf().reverse(),
    method: 'cut-offs',
    cutoffs: [COLUMNS, 30],
    refine: false,
  }),
  blockLowRank({ layers: ['words', 'softmax'], rank: [COLUMNS, 2, 2] }),
];

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  describe.each(Object.entries(MODELS))('%s', (_, make) => {
    test('factors of full rank change no output, here or where the model is loaded', async () => {
      await withSession(opened(make, exact()), async (session) => {
        const expected = await outputsOf(session.model);
        await session.transform();
        expect(session.model.getLayer('softmax').getClassName()).toBe('BlockLowRankDense');
        near(await outputsOf(session.model), expected);
        const copy = session.export();
        const values = await outputsOf(copy);
        near(values, expected);
        expect(await outputsOf(await savedAndLoaded(copy))).toEqual(values);
        expect(await outputsOf(throughJson(copy))).toEqual(values);
        const files = await packArtifact({ model: copy });
        const { model: unpacked } = await unpackArtifact(async (file) => files.get(file)!);
        expect(await outputsOf(unpacked)).toEqual(values);
      });
    });

    test('a run of the layers leaves no tensor', async () => {
      await withSession(opened(make, exact()), async (session) => {
        await session.transform();
        await outputsOf(session.model);
        const before = liveTensors();
        await outputsOf(session.model);
        expect(liveTensors()).toBe(before);
      });
    });
  });

  test('what was frozen stays frozen', async () => {
    const make = () => {
      const made = tinyLanguageModel();
      made.getLayer('embedding').trainable = false;
      return made;
    };
    await withSession(openTiny([blockLowRank({ minSize: 400 })], make), async (session) => {
      await session.transform();
      const [u, basis] = [session.parameters()['embedding/u0']!, session.parameters()];
      const before = [...(await u.data())];
      const softmaxBefore = [...(await basis['softmax/u0']!.data())];
      await session.fit({ epochs: 1 });
      expect([...(await session.parameters()['embedding/u0']!.data())]).toEqual(before);
      expect([...(await session.parameters()['softmax/u0']!.data())]).not.toEqual(softmaxBefore);
    });
  });

  test('a model inside a model is left alone', async () => {
    const make = () => {
      const inside = ids('inside');
      const inner = model(inside, through(inside, words()));
      const input = ids();
      return model(input, through(inner.apply(input) as Symbolic, softmax()));
    };
    await withSession(opened(make, [blockLowRank({ minSize: 400, rank: 8 })]), async (session) => {
      const expected = await outputsOf(session.model);
      await session.transform();
      expect(compressionReport(session.inspect().edits).map(({ layer }) => layer)).toEqual([
        'softmax',
      ]);
      near(await outputsOf(session.model), expected);
    });
    const named = blockLowRank({ layers: ['words'] });
    await withSession(opened(make, [named]), async (session) => {
      await expect(session.transform()).rejects.toThrow(/no layer 'words'.*softmax/);
    });
  });

  test('a budget is shared out by size, and kept by all layers together', async () => {
    const plugin = blockLowRank({ layers: ['embedding', 'hidden', 'softmax'], budget: '2.5 kB' });
    await withSession(openTiny([plugin]), async (session) => {
      await session.transform();
      const account = compressionReport(session.inspect().edits);
      const total = account.reduce((sum, { bytesAfter }) => sum + bytesAfter, 0);
      expect(total).toBeLessThanOrEqual(2500);
      expect(total).toBeGreaterThan(1800);
    });
  });

  test.each([1.2, 2, 3, 5])('bytes and tensors at ratio %d', async (ratio) => {
    const plugins = [
      vocabPartition({ counts: zipf().reverse(), blocks: 'auto' }),
      blockLowRank({ minSize: 400, ratio }),
    ];
    await withSession(openTiny(plugins), async (session) => {
      const own = Object.keys(session.parameters()).length;
      const before = liveTensors();
      await session.transform();
      const added = Object.keys(session.parameters()).length - own;
      expect(liveTensors() - before).toBe(added);
      for (const { bytesBefore, bytesAfter } of compressionReport(session.inspect().edits)) {
        expect(bytesAfter * ratio).toBeLessThanOrEqual(bytesBefore);
      }
    });
  });

  test.each([0.05, 0.2, 0.5, 0.9])('an error of at most %d with blocks', async (maxError) => {
    const plugins = (blocks: number | 'auto') => [
      vocabPartition({ counts: zipf(), blocks }),
      blockLowRank({ layers: ['softmax'], maxError }),
    ];
    const bytes: number[] = [];
    for (const blocks of [1, 'auto'] as const) {
      await withSession(openTiny(plugins(blocks)), async (session) => {
        await session.transform();
        const [line] = compressionReport(session.inspect().edits);
        expect(line!.weightedError).toBeLessThanOrEqual(maxError * (1 + 1e-5));
        bytes.push(line!.bytesAfter);
      });
    }
    expect(bytes[1]).toBeLessThanOrEqual(bytes[0]!);
  });

  describe('topK', () => {
    const scoring = async (
      options: Partial<Parameters<typeof tfl.layers.dense>[0]>,
      check: (layer: BlockLowRankDense) => Promise<void>,
    ) => {
      const make = () => {
        const input = ids();
        const pooled = through(input, words(), tfl.layers.globalAveragePooling1d({}));
        return model(input, through(pooled, softmax(options)));
      };
      await withSession(opened(make, exact()), async (session) => {
        await session.transform();
        await check(session.model.getLayer('softmax') as BlockLowRankDense);
      });
    };

    test.each([true, false])('all units, in falling order, with bias: %s', async (useBias) => {
      await scoring({ useBias }, async (layer) => {
        const x = tf.tensor2d(randomMatrix(2, COLUMNS, 4), [2, COLUMNS]);
        const scores = await (layer.call(x) as tf.Tensor2D).array();
        const best = await topK(layer, x, WORDS);
        scores.forEach((row, n) => {
          const mine = [...best.indices.subarray(n * WORDS, (n + 1) * WORDS)];
          expect([...mine].sort((a, b) => a - b)).toEqual(row.map((_, i) => i));
          const values = [...best.values.subarray(n * WORDS, (n + 1) * WORDS)];
          near(
            values,
            mine.map((unit) => row[unit]!),
          );
          expect(values).toEqual([...values].sort((a, b) => b - a));
        });
      });
    });

    test('equal scores are different units', async () => {
      await scoring({ useBias: false }, async (layer) => {
        const { values, indices } = await topK(layer, tf.zeros([1, COLUMNS]), 5);
        expect([...values]).toEqual([0, 0, 0, 0, 0]);
        expect(new Set(indices).size).toBe(5);
      });
    });

    test('refuses what it cannot answer', async () => {
      await scoring({}, async (layer) => {
        const x = tf.zeros([1, COLUMNS]) as tf.Tensor2D;
        await expect(topK(layer, x, 0)).rejects.toThrow(/from 1 to 60.*Received: 0.*top-k\/k/);
        await expect(topK(layer, x, WORDS + 1)).rejects.toThrow(/top-k\/k/);
        const wide = tf.zeros([1, COLUMNS + 1]) as tf.Tensor2D;
        await expect(topK(layer, wide, 1)).rejects.toThrow(/\[rows, 8\].*top-k\/shape/);
      });
    });
  });
});

/** Through TensorFlow.js's own format. */
async function savedAndLoaded(made: tfl.LayersModel): Promise<tfl.LayersModel> {
  const saved: tf.io.ModelArtifacts[] = [];
  await made.save(
    tf.io.withSaveHandler(async (artifacts) => {
      saved.push(artifacts);
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    }),
  );
  return tfl.loadLayersModel(tf.io.fromMemory(saved[0]!));
}

/** Topology as text, weights beside it. */
function throughJson(made: tfl.LayersModel): tfl.LayersModel {
  const { topology, weights } = extractGraph(made);
  return buildModel({ topology: JSON.parse(JSON.stringify(topology)), weights });
}
