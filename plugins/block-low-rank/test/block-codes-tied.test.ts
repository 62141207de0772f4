import { compressionReport } from '@espalier/compression';
import { createSession, crossEntropy, memoryStore, sgd } from '@espalier/core';
import type { Session } from '@espalier/core';
import { packArtifact, unpackArtifact } from '@espalier/formats';
import { blockCodes } from '@espalier/plugin-block-low-rank';
import type { BlockCodesOptions } from '@espalier/plugin-block-low-rank';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import { backendsUnderTest, liveTensors, onBackend, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { tinyText, zipf } from './models.js';

const [WORDS, COLUMNS] = [150, 8];

/** A model whose softmax holds the embedding's matrix, of rank 2, and a bias of its own. */
function tiedModel(kernelRegularizer?: ReturnType<typeof tfl.regularizers.l2>): LayersModel {
  const { embedding, globalAveragePooling1d, dense } = tfl.layers;
  const model = tfl.sequential({
    layers: [
      embedding({ name: 'embedding', inputDim: WORDS, outputDim: COLUMNS, inputLength: 4 }),
      globalAveragePooling1d({}),
      dense({ name: 'softmax', units: WORDS, ...(kernelRegularizer && { kernelRegularizer }) }),
    ],
  });
  tf.tidy(() => {
    const [u, v] = [1, 2].map((seed) => {
      const shape: [number, number] = seed === 1 ? [WORDS, 2] : [2, COLUMNS];
      return tf.randomNormal<tf.Rank.R2>(shape, 0, 0.5, 'float32', seed);
    });
    const matrix = tf.matMul(u!, v!);
    model.getLayer('embedding').setWeights([matrix]);
    model.getLayer('softmax').setWeights([tf.transpose(matrix), tf.linspace(-1, 1, WORDS)]);
  });
  return model;
}

function open(
  options: BlockCodesOptions = {},
  model: () => LayersModel = () => tiedModel(),
): Promise<Session> {
  return createSession({
    model,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.05 }),
    train: tinyText({ words: WORDS }),
    plugins: [
      vocabPartition({ counts: zipf(WORDS) }),
      blockCodes({ layers: ['embedding', 'softmax'], ratio: 3, ...options }),
    ],
  });
}

async function predict(model: LayersModel): Promise<Float32Array> {
  const ids = tf.tensor2d([0, 1, 2, 3, 149, 30, 7, 7], [2, 4], 'int32');
  const found = model.predict(ids) as tf.Tensor;
  const values = await found.data<'float32'>();
  tf.dispose([ids, found]);
  return values;
}

const classes = (model: LayersModel) =>
  ['embedding', 'softmax'].map((name) => model.getLayer(name).getClassName());

const near = (values: Float32Array, expected: Float32Array) =>
  values.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 4));

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('both layers use one set of codes, counted once', async () => {
    await withSession(open(), async (session) => {
      const [own, before] = [Object.keys(session.parameters()).length, liveTensors()];
      await session.transform();
      const parameters = session.parameters();
      expect(liveTensors() - before).toBe(Object.keys(parameters).length - own);
      expect(classes(session.model)).toEqual(['StoredEmbedding', 'StoredTiedDense']);
      expect(Object.keys(parameters).filter((path) => path.startsWith('softmax/'))).toEqual([
        'softmax/bias',
      ]);
      const [line, ...more] = compressionReport(session.inspect().edits);
      expect(more).toEqual([]);
      const bytes = Object.entries(parameters)
        .filter(([path]) => path.startsWith('embedding/'))
        .reduce((sum, [, { size }]) => sum + 4 * size, 0);
      expect(line!.bytesAfter).toBe(bytes);
      expect(bytes).toBeLessThanOrEqual((4 * WORDS * COLUMNS) / 3);
      const plain = session.export({ dense: true });
      const kernel = plain.getLayer('softmax').getWeights()[0]!;
      const embeddings = plain.getLayer('embedding').getWeights()[0]!;
      expect(
        tf.tidy(() => tf.max(tf.abs(tf.sub(tf.transpose(kernel), embeddings))).dataSync()[0]),
      ).toBe(0);
      near(await predict(plain), await predict(session.model));
      plain.dispose();
    });
  });

  test('both train the shared coefficients: gradients as finite differences say of what is smooth', async () => {
    await withSession(open({ qat: true }), async (session) => {
      await session.transform();
      expect(classes(session.model)).toEqual(['StoredEmbedding', 'StoredTiedDense']);
      const x = tf.tensor2d([0, 1, 149, 3], [1, 4], 'int32');
      const y = tf.tensor1d([7], 'int32');
      const batch = await session.batch({ x, y }, { epoch: 0, index: 0 } as never);
      const { gradients, total, values } = session.gradients(batch);
      const path = 'embedding/embeddings_basis';
      const at = (value: tf.Tensor) => session.objective(batch, { params: { [path]: value } });
      const [numeric, length] = tf.tidy(() => {
        const [start, gradient] = [session.parameters()[path]!, gradients[path]!];
        const norm = tf.norm(gradient).dataSync()[0]!;
        const along = (step: number) => tf.add(start, tf.mul(gradient, step / norm));
        const [more, less] = [0.05, -0.05].map((step) => at(along(step)).dataSync()[0]!);
        return [(more! - less!) / 0.1, norm];
      });
      expect(length).toBeGreaterThan(5e-3);
      expect(Math.abs(numeric / length - 1)).toBeLessThan(0.02);
      tf.dispose([x, y, gradients, total, ...values]);
      await session.fit({ epochs: 1 });
      const trained = await predict(session.model);
      await session.transform();
      expect(classes(session.model)).toEqual(['StoredEmbedding', 'StoredTiedDense']);
      (await predict(session.model)).forEach((value, i) => {
        expect(Math.abs(value - trained[i]!)).toBeLessThan(0.02);
      });
    });
  });

  test('retrained, saved and packed, it comes back bit for bit', async () => {
    const store = memoryStore();
    const expected = await withSession(open(), async (session) => {
      await session.transform();
      await session.fit({ epochs: 1 });
      const found = await predict(session.model);
      await session.save(store);
      const copy = session.export();
      const files = await packArtifact({ model: copy });
      const { model } = await unpackArtifact(async (file) => files.get(file)!);
      expect(await predict(copy)).toEqual(found);
      expect(await predict(model)).toEqual(found);
      copy.dispose();
      model.dispose();
      return found;
    });
    await withSession(open(), async (session) => {
      expect(await session.load({ store })).toBe(true);
      expect(classes(session.model)).toEqual(['StoredEmbedding', 'StoredTiedDense']);
      expect(await predict(session.model)).toEqual(expected);
    });
  });
});

describe('choices', () => {
  beforeAll(() => onBackend('wasm'));

  test('split: codes of each; refuse: an error by name', async () => {
    await withSession(open({ tied: 'split' }), async (session) => {
      await session.transform();
      expect(classes(session.model)).toEqual(['StoredEmbedding', 'StoredDense']);
    });
    await withSession(open({ tied: 'refuse' }), async (session) => {
      await expect(session.transform()).rejects.toThrow(
        /'embedding' and 'softmax' hold the same matrix/,
      );
      expect(classes(session.model)).toEqual(['Embedding', 'Dense']);
    });
  });

  test('the regularizer of the dense layer acts on the shared matrix as long as it trains', async () => {
    const model = () => tiedModel(tfl.regularizers.l2({ l2: 0.01 }));
    await withSession(open({ qat: true }, model), async (session) => {
      await session.transform();
      await session.transform();
      const [training, codes] = compressionReport(session.inspect().edits);
      expect(training!.summary).toMatch(
        /of softmax: kernelRegularizer acts on the decoded matrix$/,
      );
      expect(codes!.summary).toMatch(/of softmax: kernelRegularizer stops/);
    });
  });
});
