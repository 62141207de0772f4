import { compressionReport, StoredDense, StoredEmbedding } from '@espalier/compression';
import { arraySource, buildModel, extractGraph, memoryStore } from '@espalier/core';
import { quantizer } from '@espalier/plugin-quantizer';
import type { QuantizerOptions } from '@espalier/plugin-quantizer';
import { firstDifference, liveTensors, onBackend, valuesOf, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { open as openRun, WORDS } from './support.js';

beforeAll(() => onBackend('cpu'));

/** As the model of the other tests, with matrices for which codebooks pay. */
function wideModel(): tfl.LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.embedding({ name: 'words', inputDim: 80, outputDim: 8, inputLength: 6 }),
      tfl.layers.flatten({ name: 'flat' }),
      tfl.layers.dense({ name: 'hidden', units: 64, activation: 'tanh' }),
      tfl.layers.dense({ name: 'logits', units: 5 }),
    ],
  });
}

const open = (model: () => tfl.LayersModel, options: QuantizerOptions) =>
  openRun(model, options, { train: arraySource(WORDS) });

const PRODUCT: QuantizerOptions = { bits: 2, codebook: { parts: 4, rotate: false } };
const x = () => tf.tensor2d(WORDS.x.data, [24, 6]);

describe('the plugin stores matrices in codes of vectors', () => {
  test.each<[string, QuantizerOptions, string[]]>([
    ['parts', PRODUCT, ['embeddings: 2 bits, 4 parts a row', 'kernel: 2 bits, 4 parts a column']],
    [
      'rotated parts, by matrix',
      {
        bits: 2,
        codebook: { stages: 2 },
        matrices: { embeddings: { codebook: { parts: 2, rotate: true } } },
      },
      ['embeddings: 2 bits, 2 parts a row, rotated', 'kernel: 2 bits, 2 stages a column'],
    ],
  ])('%s', (_, options, expected) =>
    withSession(open(wideModel, { ...options, layers: ['words', 'hidden'] }), async (session) => {
      await session.fit({ epochs: 1 });
      await session.transform();
      const account = compressionReport(session.inspect().edits);
      expect(account.map(({ summary }) => summary)).toEqual(expected);
      const weights = Object.entries(extractGraph(session.model).weights);
      for (const { layer, bytesAfter, relativeError } of account) {
        const own = weights.filter(([path]) => path.startsWith(`${layer}/`));
        expect(bytesAfter).toBe(own.reduce((sum, [, { size }]) => sum + 4 * size, 0));
        expect(relativeError).toBeGreaterThan(0);
        expect(relativeError).toBeLessThan(0.9);
      }
      expect(session.model.layers[1]).toBeInstanceOf(StoredEmbedding);
      expect(session.model.layers[3]).toBeInstanceOf(StoredDense);
    }),
  );

  test('codebooks train on, codes and rotation stay, and no tensor is left', async () => {
    const before = liveTensors();
    const rotated = { codebook: { parts: 2, rotate: true } };
    const options = { ...PRODUCT, layers: ['words', 'hidden'], matrices: { embeddings: rotated } };
    await withSession(open(wideModel, options), async (session) => {
      await session.transform();
      const start = valuesOf(session.parameters());
      const alive = liveTensors();
      await session.fit({ epochs: 2 });
      expect(liveTensors()).toBe(alive);
      const end = valuesOf(session.parameters());
      for (const [path, values] of start) {
        const stays = /_(codes|rotation)$/.test(path);
        expect([path, String(end.get(path)) === String(values)]).toEqual([path, stays]);
      }
      expect([...start.keys()]).toContain('words/embeddings_rotation');
      expect([...start.keys()]).toContain('hidden/kernel_codebook');
    });
    expect(liveTensors()).toBe(before);
  });

  test('goes through JSON, and resumes from a checkpoint', async () => {
    const store = memoryStore();
    const undisturbed = await withSession(open(wideModel, PRODUCT), async (session) => {
      await session.fit({ epochs: 1 });
      await session.transform();
      await session.save(store);
      const { topology, weights } = extractGraph(session.export());
      const twin = buildModel({ topology: JSON.parse(JSON.stringify(topology)), weights });
      const { logits } = await session.predict(x() as never);
      expect((twin.predict(x()) as tf.Tensor).dataSync()).toEqual(logits!.dataSync());
      await session.fit({ untilEpoch: 3 });
      return valuesOf(session.parameters());
    });
    await withSession(open(wideModel, PRODUCT), async (session) => {
      await session.load({ store });
      await session.fit({ untilEpoch: 3 });
      expect(firstDifference(undisturbed, valuesOf(session.parameters()))).toBeUndefined();
    });
  });

  test('a matrix whose codebooks would cost more stays as it is', () =>
    withSession(
      open(wideModel, { bits: 8, codebook: { parts: 4, rotate: false } }),
      async (session) => {
        await expect(session.transform()).rejects.toThrow(/would not get smaller/);
      },
    ));

  test('more parts than numbers name layer and matrix', () =>
    withSession(open(wideModel, { bits: 2, codebook: { parts: 9 } }), async (session) => {
      await expect(session.transform()).rejects.toThrow(
        /layer 'words', matrix 'embeddings'.*row of 8 numbers.*9 parts.*quantizer\/parts/,
      );
    }));

  test('quantizing twice says which layers are quantized', () =>
    withSession(open(wideModel, { ...PRODUCT, layers: ['hidden'] }), async (session) => {
      await session.transform();
      await expect(session.transform()).rejects.toThrow(/'hidden' is quantized already/);
    }));
});

test.each<[string, unknown, RegExp]>([
  ['no part', { codebook: { parts: 0 } }, /option 'codebook/],
  ['parts and stages', { codebook: { parts: 2, stages: 2 } }, /option 'codebook|unknown option/],
  [
    'with scales',
    { codebook: { stages: 2 }, scheme: 'asymmetric' },
    /option 'scheme'.*have no scales/,
  ],
  [
    'with groups, of a matrix',
    { matrices: { kernel: { codebook: { parts: 2 }, granularity: 'row' } } },
    /option 'matrices.kernel.granularity'.*have no scales/,
  ],
  [
    'in aware training',
    { qat: 'ste', codebook: { parts: 2 } },
    /option 'codebook'.*uniform symmetric/,
  ],
])('option: %s', (_, options, message) => {
  expect(() => quantizer(options as QuantizerOptions)).toThrow(message);
});
