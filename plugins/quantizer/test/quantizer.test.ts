import {
  compressionReport,
  createStorage,
  StoredConv2D,
  StoredDense,
  StoredEmbedding,
} from '@espalier/compression';
import { buildModel, extractGraph, memoryStore, tidyExcept, viewModel } from '@espalier/core';
import type { Session } from '@espalier/core';
import { dequantize, quantize } from '@espalier/plugin-quantizer';
import type { CodeConfig, QuantizeOptions, QuantizerOptions } from '@espalier/plugin-quantizer';
import {
  backendsUnderTest,
  firstDifference,
  liveTensors,
  onBackend,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { gaussianMatrix } from './gaussian.js';
import { imageModel, wordModel } from './models.js';
import { open, WORDS } from './support.js';

/** The decoded matrices of a session's model, by `<layer>/<matrix>`. */
function decoded(session: Session, model: () => LayersModel): Map<string, Float32Array> {
  const shapes = shapesOf(model);
  const { topology, weights } = extractGraph(session.model);
  const found = new Map<string, Float32Array>();
  for (const { name, config } of topology.config.layers) {
    const storage = (config['storage'] ?? {}) as Record<string, CodeConfig>;
    for (const matrix of Object.keys(storage)) {
      const parts = Object.entries(weights)
        .filter(([path]) => path.startsWith(`${name}/${matrix}_`))
        .map(([path, value]) => [path.split('_').at(-1)!, value.dataSync()]);
      const shape = shapes.get(`${name}/${matrix}`)!;
      const quantized = { config: storage[matrix]!, weights: Object.fromEntries(parts) };
      found.set(`${name}/${matrix}`, dequantize(quantized, shape).data);
    }
  }
  return found;
}

/** Rows and columns of every matrix of a model before it is quantized, by `<layer>/<matrix>`. */
function shapesOf(model: () => LayersModel): ReadonlyMap<string, [number, number]> {
  const plain = model();
  const shapes = Object.entries(extractGraph(plain).weights).map(([path, { shape, size }]) => {
    const columns = shape.at(-1)!;
    return [path, [size / columns, columns]] as const;
  });
  plain.dispose();
  return new Map(shapes as [string, [number, number]][]);
}

/** The same model, float, with the numbers that the codes stand for. */
function withDecoded(model: () => LayersModel, session: Session): LayersModel {
  const plain = model();
  const { topology, weights } = extractGraph(plain);
  const coded = extractGraph(session.model).weights;
  const matrices = decoded(session, model);
  const twin = tidyExcept(
    () => [],
    () => {
      const values = Object.entries(weights).map(([path, { shape }]) => [
        path,
        matrices.has(path) ? tf.tensor(matrices.get(path)!, shape) : coded[path]!,
      ]);
      return buildModel({ topology, weights: Object.fromEntries(values) as never });
    },
  );
  plain.dispose();
  return twin;
}

const inputsOf = (model: () => LayersModel) =>
  model === wordModel
    ? tf.tensor2d(WORDS.x.data, [24, 6])
    : tf.mul(tf.cos(tf.reshape(tf.range(0, 4 * 192, 1), [4, 8, 8, 3])), 2);

describe.each([...backendsUnderTest()])('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each<[string, () => LayersModel, QuantizerOptions]>([
    ['words, 8 bits', wordModel, {}],
    ['words, 4 bits in groups', wordModel, { bits: 4, granularity: { group: 5 } }],
    ['words, 3 bits asymmetric', wordModel, { bits: 3, scheme: 'asymmetric', granularity: 'row' }],
    ['words, a codebook', wordModel, { bits: 2, codebook: 'k-means' }],
    ['images, 8 bits', imageModel, {}],
    ['images, NF4', imageModel, { codebook: 'nf4', granularity: 'column' }],
  ])('%s: outputs are those of a float model of the decoded numbers', (_, model, options) =>
    withSession(open(model, options), async (session) => {
      await session.fit({ epochs: 1 });
      await session.transform({ plugins: ['quantizer'] });
      const twin = withDecoded(model, session);
      const x = inputsOf(model);
      const { logits } = await session.predict(x as never);
      const expected = twin.predict(x) as tf.Tensor;
      const gap = tf.max(tf.abs(tf.sub(logits!, expected))).dataSync()[0]!;
      expect(gap).toBeLessThan(1e-5);
      expect(tf.max(tf.abs(expected)).dataSync()[0]).toBeGreaterThan(0.1);
      tf.dispose([x, logits!, expected]);
      twin.dispose();
    }),
  );

  test('codes are frozen, biases train on, and no tensor is left', async () => {
    const before = liveTensors();
    await withSession(open(wordModel, {}), async (session) => {
      await session.fit({ epochs: 1 });
      await session.transform();
      const alive = liveTensors();
      const start = decoded(session, wordModel);
      const bias = session.parameters()['logits/bias']!.dataSync().slice();
      await session.fit({ untilEpoch: 3 });
      expect(decoded(session, wordModel)).toEqual(start);
      expect(session.parameters()['logits/bias']!.dataSync()).not.toEqual(bias);
      expect(liveTensors()).toBe(alive);
    });
    expect(liveTensors()).toBe(before);
  });
});

describe('the model', () => {
  beforeAll(() => onBackend('cpu'));

  test('has quantized layers of the same names and shapes, and as many operations', () =>
    withSession(open(imageModel, {}), async (session) => {
      const plain = imageModel();
      const before = plain.layers.map(({ name, outputShape }) => [name, outputShape]);
      await session.transform();
      const { layers } = session.model;
      expect(layers.slice(1).map(({ name, outputShape }) => [name, outputShape])).toEqual(before);
      expect(layers[1]).toBeInstanceOf(StoredConv2D);
      expect(layers.at(-1)).toBeInstanceOf(StoredDense);
      const counted = viewModel(session.model).layers.map(({ macs }) => macs);
      expect(counted).toEqual(viewModel(plain).layers.map(({ macs }) => macs));
      plain.dispose();
    }));

  test('goes through JSON and comes back the same', () =>
    withSession(open(wordModel, { bits: 3 }), async (session) => {
      await session.transform();
      const { topology, weights } = extractGraph(session.export());
      const twin = buildModel({ topology: JSON.parse(JSON.stringify(topology)), weights });
      expect(twin.layers[1]).toBeInstanceOf(StoredEmbedding);
      const x = inputsOf(wordModel);
      const { logits } = await session.predict(x as never);
      expect((twin.predict(x) as tf.Tensor).dataSync()).toEqual(logits!.dataSync());
    }));

  test('the account says what was done, its bytes and its error', () =>
    withSession(open(wordModel, { matrices: { 'logits/*': { bits: 4 } } }), async (session) => {
      await session.transform();
      const account = compressionReport(session.inspect().edits);
      expect(account).toMatchObject([
        { plugin: 'quantizer', layer: 'words', bytesBefore: 1280 },
        { plugin: 'quantizer', layer: 'hidden' },
        { plugin: 'quantizer', layer: 'logits', summary: expect.stringMatching(/^kernel: 4 bits/) },
      ]);
      for (const { layer, bytesAfter, relativeError } of account) {
        const weights = Object.entries(extractGraph(session.model).weights);
        const own = weights.filter(([path]) => path.startsWith(`${layer}/`));
        expect(bytesAfter).toBe(own.reduce((sum, [, { size }]) => sum + 4 * size, 0));
        expect(relativeError).toBeGreaterThan(0);
        expect(relativeError).toBeLessThan(0.2);
      }
    }));

  test.each<[string, QuantizerOptions]>([
    ['codes', { bits: 4 }],
    ['aware training', { bits: 4, qat: 'lsq' }],
  ])('resumes from a checkpoint after the transform: %s', async (_, options) => {
    const store = memoryStore();
    const undisturbed = await withSession(open(wordModel, options), async (session) => {
      await session.fit({ epochs: 1 });
      await session.transform();
      await session.save(store);
      await session.fit({ untilEpoch: 3 });
      return valuesOf(session.parameters());
    });
    await withSession(open(wordModel, options), async (session) => {
      await session.load({ store });
      await session.fit({ untilEpoch: 3 });
      expect(firstDifference(undisturbed, valuesOf(session.parameters()))).toBeUndefined();
    });
  });

  test('a longer pattern overrides a shorter one, and options that it leaves out stay', () => {
    const matrices = { 'hidden/*': { bits: 2 }, kernel: false, '*': { bits: 3 } } as const;
    const options = { bits: 4, codebook: 'k-means', matrices } as const;
    return withSession(open(wordModel, options), async (session) => {
      await session.transform();
      const account = compressionReport(session.inspect().edits);
      expect(account.map(({ layer, summary: what }) => [layer, what])).toEqual([
        ['words', 'embeddings: 3 bits, codebook per tensor'],
        ['hidden', 'kernel: 2 bits, codebook per tensor'],
      ]);
    });
  });
});

test('other backends decode by a composition of integer ops to the same bits', async () => {
  await onBackend('cpu');
  const { kernelFunc } = tf.getKernel('EspalierDecodeRows', 'tensorflow') as tf.KernelConfig;
  const inMemory = tf.getKernel('EspalierDecodeRows', 'cpu') as tf.KernelConfig;
  const matrix = gaussianMatrix(9, 11);
  const every: QuantizeOptions[] = [
    ...([8, 4, 3, 2] as const).map((bits) => ({ bits })),
    { bits: 3, scheme: 'asymmetric', granularity: { group: 4 } },
    { bits: 3, granularity: 'column' },
    { bits: 3, codebook: { columns: 3 } },
    { codebook: 'nf4', granularity: 'row' },
  ];
  for (const options of every) {
    const { config, weights } = quantize(matrix, options);
    const storage = createStorage('m', [9, 11], config);
    const decodeBy = (kernel: tf.KernelFunc) =>
      tf.tidy(() => {
        tf.unregisterKernel('EspalierDecodeRows', 'cpu');
        tf.registerKernel({ ...inMemory, kernelFunc: kernel });
        const read = (name: string) => tf.tensor1d(weights[name.slice(2) as 'codes']!);
        return storage.gather(read, tf.tensor1d([8, 0, 3, 3], 'int32')).dataSync();
      });
    try {
      const composed = decodeBy(kernelFunc);
      expect(composed).toEqual(decodeBy(inMemory.kernelFunc));
    } finally {
      decodeBy(inMemory.kernelFunc);
    }
  }
});
