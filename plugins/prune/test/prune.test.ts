import {
  compressionReport,
  StoredConv2D,
  StoredDense,
  StoredEmbedding,
} from '@espalier/compression';
import { buildModel, extractGraph } from '@espalier/core';
import type { Session } from '@espalier/core';
import { sparseBytes } from '@espalier/plugin-prune';
import type { PruneOptions } from '@espalier/plugin-prune';
import { backendsUnderTest, liveTensors, onBackend, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { imageModel, wordModel } from '../../quantizer/test/models.js';
import { open } from './support.js';

/** The decoded matrix of every pruned layer, by name. */
function decoded(session: Session): Map<string, Float32Array> {
  const pruned = session.model.layers.filter(
    (layer) =>
      layer instanceof StoredConv2D ||
      layer instanceof StoredDense ||
      layer instanceof StoredEmbedding,
  );
  return new Map(
    pruned.map(({ name, matrix }) => [
      name,
      tf.tidy(() => matrix.all().dataSync()) as Float32Array,
    ]),
  );
}

/** Numbers of the matrices of a model's layers, by layer. */
function dense(session: Session): Map<string, Float32Array> {
  const matrices = Object.entries(session.parameters()).filter(([path]) =>
    /(kernel|embeddings)$/.test(path),
  );
  return new Map(
    matrices.map(([path, value]) => [path.split('/')[0]!, value.dataSync() as Float32Array]),
  );
}

function bytesOf(session: Session, layer: string): number {
  return Object.entries(session.parameters())
    .filter(([path]) => path.startsWith(`${layer}/`))
    .reduce((sum, [, { size }]) => sum + 4 * size, 0);
}

const kept = (values: Float32Array) => values.reduce((n, value) => (value === 0 ? n : n + 1), 0);

describe.each([...backendsUnderTest()])('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each<[string, () => LayersModel, PruneOptions, string[]]>([
    ['words', wordModel, { layers: ['words', 'hidden', 'logits'] }, ['words', 'hidden', 'logits']],
    ['images', imageModel, { layers: ['conv', 'wide'] }, ['conv', 'wide']],
  ])('%s: every kept number is as it was, every other is zero', (_, model, options, names) =>
    withSession(open(model, { ...options, density: 0.4 }), async (session) => {
      await session.fit({ epochs: 1 });
      const before = dense(session);
      await session.transform();
      const after = decoded(session);
      expect([...after.keys()]).toEqual(names);
      for (const [name, values] of after) {
        const old = before.get(name)!;
        expect(kept(values)).toBe(Math.round(0.4 * old.length));
        values.forEach((value, i) => expect([0, old[i]]).toContain(value));
      }
    }),
  );

  test('what is kept trains on, what is gone stays zero, no tensor is left', async () => {
    const before = liveTensors();
    const options = { layers: ['words', 'logits'], density: 0.5 };
    await withSession(open(wordModel, options), async (session) => {
      await session.fit({ epochs: 1 });
      await session.transform();
      const alive = liveTensors();
      const start = decoded(session);
      await session.fit({ untilEpoch: 3 });
      for (const [name, values] of decoded(session)) {
        const old = start.get(name)!;
        values.forEach((value, i) => old[i] === 0 && expect(value).toBe(0));
        expect(values).not.toEqual(old);
      }
      expect(liveTensors()).toBe(alive);
    });
    expect(liveTensors()).toBe(before);
  });

  test('goes through JSON and comes back the same', () =>
    withSession(open(wordModel, { layers: ['words', 'hidden'], ratio: 2 }), async (session) => {
      await session.transform();
      const { topology, weights } = extractGraph(session.export());
      const twin = buildModel({ topology: JSON.parse(JSON.stringify(topology)), weights });
      const x = tf.tensor2d([[0, 39, 7, 7, 1, 20]]);
      const { logits } = await session.predict(x as never);
      expect((twin.predict(x) as tf.Tensor).dataSync()).toEqual(logits!.dataSync());
    }));
});

describe('size', () => {
  beforeAll(() => onBackend('cpu'));

  const size = 4 * (320 + 96 + 360);

  test.each<[PruneOptions, number]>([
    [{ ratio: 1.3 }, size / 1.3],
    [{ ratio: 2 }, size / 2],
    [{ ratio: 3.5 }, size / 3.5],
    [{ budget: 1000 }, 1000],
    [{ budget: '2.5kB' }, 2500],
    [{ budget: 3000.5 }, 3000.5],
  ])('%o is kept to, and used up', (options, most) => {
    const layers = ['words', 'hidden', 'logits'];
    return withSession(open(wordModel, { layers, ...options }), async (session) => {
      await session.transform();
      const account = compressionReport(session.inspect().edits);
      const biases = 4 * (12 + 5);
      const total = account.reduce((sum, { bytesAfter }) => sum + bytesAfter, 0) - biases;
      expect(total).toBeLessThanOrEqual(most);
      expect(total).toBeGreaterThan(most - 4 * account.length);
      for (const { layer, bytesAfter } of account) {
        expect(bytesAfter).toBe(bytesOf(session, layer));
      }
    });
  });

  test('the account says what was done', () =>
    withSession(open(wordModel, { layers: ['words'], density: 0.25 }), async (session) => {
      const before = dense(session).get('words')!;
      await session.transform();
      const [line] = compressionReport(session.inspect().edits);
      expect(line).toMatchObject({
        plugin: 'prune',
        layer: 'words',
        summary: 'embeddings: 80 of 320 numbers kept',
        bytesBefore: 1280,
        bytesAfter: sparseBytes([40, 8], 80),
      });
      const after = decoded(session).get('words')!;
      const square = (values: Float32Array) => values.reduce((sum, x) => sum + x * x, 0);
      const lost = Math.sqrt(1 - square(after) / square(before));
      expect(line!.relativeError).toBeCloseTo(lost, 4);
    }));

  test('a matrix within its target already stays dense', () =>
    withSession(open(wordModel, { layers: ['words'], budget: 1280 }), async (session) => {
      await session.transform();
      expect(session.model.getLayer('words').getClassName()).toBe('Embedding');
      expect(compressionReport(session.inspect().edits)).toEqual([]);
    }));

  test('automatic: embeddings and wide dense layers that are large enough, once', () =>
    withSession(open(wordModel, { minSize: 90 }), async (session) => {
      await session.transform();
      await session.transform();
      const layers = compressionReport(session.inspect().edits).map(({ layer }) => layer);
      expect(layers).toEqual(['words']);
    }));
});
