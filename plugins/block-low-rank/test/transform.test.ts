import { compressionReport } from '@espalier/compression';
import { memoryStore } from '@espalier/core';
import type { RawBatch, Session, Source } from '@espalier/core';
import { blockLowRank, rankRule, wordImportance } from '@espalier/plugin-block-low-rank';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import { backendsUnderTest, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { COLUMNS, openTiny, tinyLanguageModel, tinyText, WORDS, zipf } from './models.js';

const counts = zipf();

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('full rank changes no output', async () => {
    const session = await openTiny([blockLowRank({ rank: COLUMNS, minSize: 400 })]);
    const before = await outputs(session);
    await session.transform();
    expect(classes(session)).toEqual(['BlockLowRankEmbedding', 'BlockLowRankDense']);
    near(await outputs(session), before, 1e-5);
    await session.dispose();
  });

  test('permuted blocks within a budget: word ids stay, and the account is right', async () => {
    const reversed = counts.slice().reverse();
    const session = await openTiny([
      vocabPartition({ counts: reversed, blocks: 3 }),
      wordImportance({ rows: 'counts' }),
      blockLowRank({ ratio: 1.5, minSize: 400 }),
    ]);
    await session.fit({ epochs: 1 });
    const dense = await lookups(session);
    await session.transform();
    const account = compressionReport(session.inspect().edits);
    expect(account.map(({ plugin, layer }) => [plugin, layer])).toEqual([
      ['block-low-rank', 'embedding'],
      ['block-low-rank', 'softmax'],
    ]);
    const parameters = session.parameters();
    for (const { layer, bytesBefore, bytesAfter, relativeError } of account) {
      const mine = Object.entries(parameters).filter(
        ([path]) => path.startsWith(`${layer}/`) && !path.endsWith('/bias'),
      );
      expect(bytesAfter).toBe(mine.reduce((sum, [, { size }]) => sum + 4 * size, 0));
      expect(bytesAfter).toBeLessThanOrEqual(bytesBefore / 1.5);
      expect(relativeError).toBeGreaterThan(0);
      expect(relativeError).toBeLessThan(1);
    }
    const { relativeError } = account[0]!;
    const low = await lookups(session);
    expect(distance(low, dense) / distance(dense, [])).toBeCloseTo(relativeError, 4);
    await session.dispose();
  });

  test('factors train on, and a checkpoint of the transformed run resumes bit for bit', async () => {
    const plugins = () => [
      vocabPartition({ counts, blocks: 2 }),
      wordImportance({ rows: 'log-counts' }),
      rankRule({ rule: 'proportional' }),
      blockLowRank({ ratio: 1.5, minSize: 400 }),
    ];
    const store = memoryStore();
    const session = await openTiny(plugins());
    await session.fit({ epochs: 1 });
    await session.transform();
    await session.save(store);
    const before = tf.memory().numTensors;
    await session.fit({ untilEpoch: 3 });
    const trained = await outputs(session);
    expect(tf.memory().numTensors).toBe(before);
    await session.dispose();
    const other = await openTiny(plugins());
    expect(await other.load({ store })).toBe(true);
    await other.fit({ untilEpoch: 3 });
    expect(await outputs(other)).toEqual(trained);
    await other.dispose();
  });

  test('an embedding and a softmax that hold one matrix share their factors', async () => {
    const session = await openTiny([blockLowRank({ ratio: 1.5, minSize: 400 })], tied);
    await session.transform();
    expect(classes(session)).toEqual(['BlockLowRankEmbedding', 'BlockLowRankTiedDense']);
    const own = Object.keys(session.parameters()).filter((path) => path.startsWith('softmax/'));
    expect(own).toEqual(['softmax/bias']);
    await session.fit({ epochs: 1 });
    expect(await session.evaluate()).toHaveProperty('loss');
    await session.dispose();
    const refusing = await openTiny([blockLowRank({ minSize: 400, tied: 'refuse' })], tied);
    await expect(refusing.transform()).rejects.toThrow(/'embedding' and 'softmax' hold the same/);
    await refusing.dispose();
  });

  test.each(['fisher', 'uniform'] as const)('importance by %s and hidden states', async (rows) => {
    const session = await openTiny([
      wordImportance({ rows, metric: 'hidden-covariance', softmax: 'softmax' }),
      blockLowRank({ ratio: 1.5, minSize: 400 }),
    ]);
    await expect(session.transform()).rejects.toThrow(/no statistics were gathered/);
    await session.evaluate(tinyText());
    const before = tf.memory().numTensors;
    await session.evaluate(tinyText());
    expect(tf.memory().numTensors).toBe(before);
    await session.transform();
    const [, softmax] = compressionReport(session.inspect().edits);
    expect(softmax!.weightedError).toBeLessThan(softmax!.relativeError);
    await session.dispose();
  });

  test('hidden states of examples of weight 0 count for nothing', async () => {
    const account = async (change: (raw: RawBatch) => RawBatch) => {
      const session = await openTiny([
        wordImportance({ rows: 'uniform', metric: 'hidden-covariance', softmax: 'softmax' }),
        blockLowRank({ ratio: 1.5, minSize: 400 }),
      ]);
      const text = tinyText({ examples: 8 });
      const changed: Source = {
        fingerprint: () => text.fingerprint(),
        async *iterate(options) {
          for await (const raw of text.iterate(options)) yield change(raw);
        },
      };
      await session.evaluate(changed);
      await session.transform();
      const [, softmax] = compressionReport(session.inspect().edits);
      await session.dispose();
      return softmax!.weightedError!;
    };
    const half = (each: tf.Tensor) => tf.slice(each, 0, 4);
    const weights = () => tf.tensor1d([1, 1, 1, 1, 0, 0, 0, 0]);
    const masked = await account(({ x, y }) => ({ x, y: y!, weights: weights() }));
    const left = await account(({ x, y }) => ({
      x: half(x as tf.Tensor),
      y: half(y as tf.Tensor),
    }));
    const all = await account((raw) => raw);
    expect(masked).toBeCloseTo(left, 6);
    expect(Math.abs(masked - all)).toBeGreaterThan(1e-5);
  });

  test('counts and relative frequencies are the same', async () => {
    const account = async (given: Float64Array) => {
      const session = await openTiny([
        vocabPartition({ counts: given, blocks: 3, refine: false }),
        wordImportance({ rows: 'counts' }),
        rankRule({ rule: 'proportional' }),
        blockLowRank({ ratio: 1.5, minSize: 400 }),
      ]);
      await session.transform();
      const [line] = compressionReport(session.inspect().edits);
      await session.dispose();
      return line!;
    };
    const [whole, parts] = [await account(counts), await account(counts.map((n) => n / 1e6))];
    expect(parts.summary).toBe(whole.summary);
    expect(parts.weightedError).toBeCloseTo(whole.weightedError!, 5);
  });

  test('one block needs no index, whatever the order of frequency', async () => {
    const session = await openTiny([
      vocabPartition({ counts: counts.slice().reverse(), blocks: 1 }),
      blockLowRank({ ratio: 2, minSize: 400 }),
    ]);
    await session.transform();
    expect(Object.keys(session.parameters())).not.toContain('embedding/index');
    await session.dispose();
  });

  test('a maximum error is kept with few bytes', async () => {
    const session = await openTiny([blockLowRank({ maxError: 0.4, minSize: 400 })]);
    await session.transform();
    for (const { weightedError, bytesAfter, bytesBefore } of compressionReport(
      session.inspect().edits,
    )) {
      expect(weightedError).toBeLessThanOrEqual(0.4);
      expect(weightedError).toBeGreaterThan(0.2);
      expect(bytesAfter).toBeLessThan(bytesBefore);
    }
    await session.dispose();
  });
});

/** Both matrices the same: what an import of a tied model gives. */
function tied() {
  const model = tinyLanguageModel();
  const [embeddings] = model.getLayer('embedding').getWeights();
  const bias = tf.zeros([WORDS]);
  model.getLayer('softmax').setWeights([tf.transpose(embeddings!), bias]);
  return model;
}

async function outputs(session: Session): Promise<number[]> {
  const ids = tf.tensor2d([0, 1, 2, 3, 59, 30, 7, 7], [2, 4], 'int32');
  const found = await session.predict(ids);
  const values = [...(await found['softmax']!.data())];
  tf.dispose([ids, found]);
  return values;
}

async function lookups(session: Session): Promise<number[]> {
  const ids = tf.range(0, WORDS, 1, 'int32');
  const layer = session.model.getLayer('embedding');
  const rows = layer.call(tf.reshape(ids, [WORDS / 4, 4]), {}) as tf.Tensor;
  const values = [...(await rows.data())];
  tf.dispose([ids, rows]);
  return values;
}

function classes({ model }: Session): string[] {
  return ['embedding', 'softmax'].map((name) => model.getLayer(name).getClassName());
}

function distance(a: readonly number[], b: readonly number[]): number {
  return Math.sqrt(a.reduce((sum, x, i) => sum + (x - (b[i] ?? 0)) ** 2, 0));
}

function near(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((x, i) => expect(Math.abs(x - expected[i]!)).toBeLessThan(tolerance));
}
