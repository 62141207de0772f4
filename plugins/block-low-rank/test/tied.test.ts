import { compressionReport } from '@espalier/compression';
import { memoryStore } from '@espalier/core';
import type { Plugin, Session } from '@espalier/core';
import { packArtifact, unpackArtifact } from '@espalier/formats';
import { blockLowRank } from '@espalier/plugin-block-low-rank';
import { quantizer } from '@espalier/plugin-quantizer';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import {
  backendsUnderTest,
  finiteDifferences,
  liveTensors,
  onBackend,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { COLUMNS, openTiny, tinyLanguageModel, WORDS, zipf } from './models.js';

/** A model whose softmax holds the embedding's matrix, and a bias of its own. */
function tiedModel(): LayersModel {
  const model = tinyLanguageModel();
  const [embeddings] = model.getLayer('embedding').getWeights();
  const bias = tf.linspace(-1, 1, WORDS);
  model.getLayer('softmax').setWeights([tf.transpose(embeddings!), bias]);
  return model;
}

const plugins = (permuted: boolean, more: readonly Plugin[] = []): readonly Plugin[] => [
  vocabPartition({ counts: permuted ? zipf().reverse() : zipf(), blocks: 3, refine: false }),
  blockLowRank({ layers: ['embedding', 'softmax'], ratio: 1.4 }),
  ...more,
];

async function predictions(model: LayersModel): Promise<number[]> {
  const ids = tf.tensor2d([0, 1, 2, 3, 59, 30, 7, 7], [2, 4], 'int32');
  const found = model.predict(ids) as tf.Tensor;
  const values = [...(await found.data())];
  tf.dispose([ids, found]);
  return values;
}

function classes({ model }: Session): string[] {
  return ['embedding', 'softmax'].map((name) => model.getLayer(name).getClassName());
}

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each([false, true])('full rank changes no output; permuted: %s', async (permuted) => {
    const counts = permuted ? zipf().reverse() : zipf();
    const exact = [
      vocabPartition({ counts, method: 'cut-offs', cutoffs: [20], refine: false }),
      blockLowRank({ layers: ['embedding', 'softmax'], rank: COLUMNS }),
    ];
    await withSession(openTiny(exact, tiedModel), async (session) => {
      const before = await predictions(session.model);
      await session.transform();
      expect(classes(session)).toEqual(['BlockLowRankEmbedding', 'BlockLowRankTiedDense']);
      const after = await predictions(session.model);
      after.forEach((value, i) => expect(value).toBeCloseTo(before[i]!, 4));
    });
  });

  test('both layers train the shared factors: gradients as finite differences say', async () => {
    await withSession(openTiny(plugins(true), tiedModel), async (session) => {
      await session.transform();
      const x = tf.tensor2d([0, 1, 59, 3], [1, 4], 'int32');
      const y = tf.tensor1d([7], 'int32');
      const batch = await session.batch({ x, y }, { epoch: 0, index: 0 } as never);
      const { gradients, total, values } = session.gradients(batch);
      const shared = Object.keys(gradients).filter((path) => path.startsWith('embedding/'));
      expect(shared).toContain('embedding/basis');
      for (const path of shared) {
        const start = session.parameters()[path]!;
        const at = (value: tf.Tensor) => session.objective(batch, { params: { [path]: value } });
        const [numeric] = finiteDifferences(at as never, [start]);
        const exact = await gradients[path]!.data();
        numeric!.forEach((value, i) => expect(Math.abs(value - exact[i]!)).toBeLessThan(5e-3));
      }
      // Words that are not looked up are trained by the softmax alone.
      const reached = await gradients['embedding/u0']!.data();
      expect(reached.some((value) => value !== 0)).toBe(true);
      tf.dispose([x, y, gradients, total, ...values]);
    });
  });

  test('the account counts the matrix once, and the transform leaves no tensor', async () => {
    await withSession(openTiny(plugins(true), tiedModel), async (session) => {
      const own = Object.keys(session.parameters()).length;
      const before = liveTensors();
      await session.transform();
      const parameters = session.parameters();
      expect(liveTensors() - before).toBe(Object.keys(parameters).length - own);
      const [line, ...more] = compressionReport(session.inspect().edits);
      expect(more).toEqual([]);
      const bytes = Object.entries(parameters)
        .filter(([path]) => path.startsWith('embedding/'))
        .reduce((sum, [, { size }]) => sum + 4 * size, 0);
      expect(line!.bytesAfter).toBe(bytes);
      expect(line!.bytesAfter).toBeLessThanOrEqual((4 * WORDS * COLUMNS) / 1.4);
    });
  });

  test('split: two approximations of one matrix', async () => {
    const split = blockLowRank({ layers: ['embedding', 'softmax'], ratio: 2, tied: 'split' });
    await withSession(openTiny([split], tiedModel), async (session) => {
      await session.transform();
      expect(classes(session)).toEqual(['BlockLowRankEmbedding', 'BlockLowRankDense']);
    });
  });

  test('retrained, quantized and packed, it comes back bit for bit', async () => {
    const all = () =>
      plugins(true, [quantizer({ minSize: 16, granularity: 'row', layers: ['embedding'] })]);
    const store = memoryStore();
    const expected = await withSession(openTiny(all(), tiedModel), async (session) => {
      await session.transform({ plugins: ['block-low-rank'] });
      await session.fit({ epochs: 1 });
      const exact = await predictions(session.model);
      await session.transform({ plugins: ['quantizer'] });
      const coded = await predictions(session.model);
      coded.forEach((value, i) => expect(Math.abs(value - exact[i]!)).toBeLessThan(0.1));
      expect(coded).not.toEqual(exact);
      await session.save(store);
      const dense = session.export({ dense: true });
      const classNames = dense.layers.map((layer) => layer.getClassName());
      const plain = tinyLanguageModel().layers.map((layer) => layer.getClassName());
      expect(classNames.slice(-plain.length)).toEqual(plain);
      const decoded = await predictions(dense);
      coded.forEach((value, i) => expect(decoded[i]).toBeCloseTo(value, 4));
      const copy = session.export();
      const files = await packArtifact({ model: copy });
      const { model } = await unpackArtifact(async (file) => files.get(file)!);
      expect(await predictions(copy)).toEqual(coded);
      expect(await predictions(model)).toEqual(coded);
      return coded;
    });
    await withSession(openTiny(all(), tiedModel), async (session) => {
      expect(await session.load({ store })).toBe(true);
      expect(classes(session)).toEqual(['BlockLowRankEmbedding', 'BlockLowRankTiedDense']);
      expect(await predictions(session.model)).toEqual(expected);
    });
  });
});

test('two embeddings of one matrix, and one softmax: the first shares it', async () => {
  await onBackend('cpu');
  const { input, layers, model } = tfl;
  const make = () => {
    const ids = input({ shape: [4], dtype: 'int32' });
    const [one, other] = ['one', 'other'].map((name) =>
      layers.embedding({
        name,
        inputDim: WORDS,
        outputDim: COLUMNS,
        embeddingsInitializer: 'zeros',
      }),
    );
    const sum = layers.add().apply([one!.apply(ids), other!.apply(ids)] as never);
    const pooled = layers.globalAveragePooling1d({}).apply(sum as never);
    const softmax = layers.dense({ name: 'softmax', units: WORDS, kernelInitializer: 'zeros' });
    return model({ inputs: ids, outputs: softmax.apply(pooled as never) as never });
  };
  await withSession(openTiny([blockLowRank({ minSize: 400 })], make), async (session) => {
    await session.transform();
    const names = ['one', 'other', 'softmax'].map((name) =>
      session.model.getLayer(name).getClassName(),
    );
    expect(names).toEqual([
      'BlockLowRankEmbedding',
      'BlockLowRankEmbedding',
      'BlockLowRankTiedDense',
    ]);
    expect(new Set(await predictions(session.model))).toEqual(new Set([0]));
  });
});
