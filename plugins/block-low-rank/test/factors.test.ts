import { compressionReport } from '@espalier/compression';
import type { ImportanceWeights } from '@espalier/compression';
import { keyedRng } from '@espalier/core';
import type { Session } from '@espalier/core';
import { blockLowRank } from '@espalier/plugin-block-low-rank';
import type { BlockLowRankDense } from '@espalier/plugin-block-low-rank';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import { backendsUnderTest, onBackend, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  COLUMNS,
  openTiny,
  randomMatrix,
  tinyLanguageModel,
  weighing,
  wideHead,
  WORDS,
  zipf,
} from './models.js';
import { leastError, product, rowsOf, weightedError } from './reference.js';
import type { Rows } from './reference.js';

const RANK = 3;
const WEIGHTS = zipf().map((count) => Math.max(1, count));

/** A positive definite matrix whose directions differ widely. */
function metricOfTest(): number[][] {
  const root = rowsOf(randomMatrix(COLUMNS, COLUMNS, 5), COLUMNS);
  const scaled = root.map((row, i) => row.map((value, j) => value * 2 ** -j + (i === j ? 0.1 : 0)));
  return product(
    scaled,
    scaled[0]!.map((_, j) => scaled.map((row) => row[j]!)),
  );
}

/** The softmax kernel, one row for each word. */
async function denseRows({ model }: Session): Promise<number[][]> {
  const kernel = tf.transpose(model.getLayer('softmax').getWeights()[0]!);
  const rows = rowsOf(await kernel.data(), COLUMNS);
  kernel.dispose();
  return rows;
}

/** What the factors multiply to: scores of unit vectors. */
async function lowRankRows({ model }: Session): Promise<number[][]> {
  const { matrix } = model.getLayer('softmax') as BlockLowRankDense;
  const scores = tf.tidy(() => tf.transpose(matrix.scores(tf.eye(COLUMNS))));
  const rows = rowsOf(await scores.data(), COLUMNS);
  scores.dispose();
  return rows;
}

async function factorsOf(session: Session): Promise<readonly [u: Rows, basis: Rows]> {
  const { 'softmax/u0': u, 'softmax/basis': basis } = session.parameters();
  return [rowsOf(await u!.data(), RANK), rowsOf(await basis!.data(), COLUMNS)];
}

function shaken(rows: Rows, size: number, draw: () => number): number[][] {
  return rows.map((row) => row.map((value) => value + size * (2 * draw() - 1)));
}

const METRIC = metricOfTest();
const cases: readonly [string, ImportanceWeights][] = [
  ['all alike', { rows: new Float64Array(WORDS).fill(1) }],
  ['weighted rows', { rows: WEIGHTS }],
  ['weighted rows in a metric', { rows: WEIGHTS, metric: Float64Array.from(METRIC.flat()) }],
];

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  describe.each(cases)('%s', (_, weights) => {
    const metric = weights.metric && METRIC;
    const plugins = [weighing(weights), blockLowRank({ layers: ['softmax'], rank: RANK })];

    test('the error is the least that the rank allows, and the account says it', async () => {
      await withSession(openTiny(plugins), async (session) => {
        const before = await denseRows(session);
        await session.transform();
        const reached = weightedError(before, await lowRankRows(session), weights.rows, metric);
        const least = leastError(before, weights.rows, RANK, metric);
        expect(reached / least).toBeGreaterThan(1 - 1e-4);
        expect(reached / least).toBeLessThan(1 + 1e-4);
        const nothing = before.map((row) => row.map(() => 0));
        const whole = weightedError(before, nothing, weights.rows, metric);
        const [line] = compressionReport(session.inspect().edits);
        expect(line!.weightedError).toBeCloseTo(Math.sqrt(reached / whole), 5);
      });
    });

    test('no factors near by are better', async () => {
      await withSession(openTiny(plugins), async (session) => {
        const before = await denseRows(session);
        await session.transform();
        const [u, basis] = await factorsOf(session);
        const reached = weightedError(before, product(u, basis), weights.rows, metric);
        const draw = keyedRng(2, 'factors near by');
        for (const size of [1e-2, 0.1, 1]) {
          for (let i = 0; i < 5; i++) {
            const other = product(shaken(u, size, draw), shaken(basis, size, draw));
            const error = weightedError(before, other, weights.rows, metric);
            expect(error).toBeGreaterThan(reached);
          }
        }
      });
    });
  });

  test('blocks are each the best of their rank, wherever their words were', async () => {
    const counts = Float64Array.from({ length: WORDS }, (_, word) => word + 1);
    const blocks = 3;
    const plugins = [
      vocabPartition({ counts, blocks, refine: false }),
      weighing({ rows: WEIGHTS }),
      blockLowRank({ layers: ['softmax'], rank: [4, 2, 1] }),
    ];
    await withSession(openTiny(plugins), async (session) => {
      const before = await denseRows(session);
      await session.transform();
      const after = await lowRankRows(session);
      const size = WORDS / blocks;
      [4, 2, 1].forEach((rank, p) => {
        // The most frequent words are those of the highest ids.
        const [from, to] = [WORDS - (p + 1) * size, WORDS - p * size];
        const [rows, weights] = [before.slice(from, to), WEIGHTS.slice(from, to)];
        const reached = weightedError(rows, after.slice(from, to), weights);
        expect(reached / leastError(rows, weights, rank)).toBeCloseTo(1, 4);
      });
    });
  });

  test('ten units on 9216 inputs: the least error that the rank allows', async () => {
    const rank = 4;
    const plugins = [blockLowRank({ layers: ['head'], rank })];
    await withSession(openTiny(plugins, wideHead), async (session) => {
      const kernel = session.model.getLayer('head').getWeights()[0]!;
      const before = rowsOf(await kernel.data(), 10); // [inputs, units]: the same error, turned
      await session.transform();
      const alike = before.map(() => 1);
      const nothing = before.map((row) => row.map(() => 0));
      const share = leastError(before, alike, rank) / weightedError(before, nothing, alike);
      const [line] = compressionReport(session.inspect().edits);
      expect(line!.relativeError ** 2 / share).toBeCloseTo(1, 4);
      expect(line!.bytesAfter).toBe(4 * rank * (9216 + 10));
    });
  });

  test.each([1e-30, 1e30])('numbers of %f lose the same share as any others', async (size) => {
    const shareAt = (scale: number) => {
      const model = () => {
        const made = tinyLanguageModel();
        const kernel = randomMatrix(COLUMNS, WORDS).map((value) => scale * value);
        const weights = [tf.tensor2d(kernel, [COLUMNS, WORDS]), tf.zeros([WORDS])];
        made.getLayer('softmax').setWeights(weights);
        tf.dispose(weights);
        return made;
      };
      const plugin = blockLowRank({ layers: ['softmax'], rank: RANK });
      return withSession(openTiny([plugin], model), async (session) => {
        await session.transform();
        return compressionReport(session.inspect().edits)[0]!.relativeError;
      });
    };
    expect((await shareAt(size)) / (await shareAt(1))).toBeCloseTo(1, 4);
  });

  test.each([
    ['zeros', 0],
    ['one number everywhere', 1],
  ])('a matrix of %s is exact at rank 1', async (_, value) => {
    const model = () => {
      const made = tinyLanguageModel();
      const layer = made.getLayer('softmax');
      layer.setWeights([tf.fill([COLUMNS, WORDS], value), tf.zeros([WORDS])]);
      return made;
    };
    for (const target of [{ rank: 1 }, { ratio: 2 }, { maxError: 0.5 }]) {
      const plugin = blockLowRank({ layers: ['softmax'], ...target });
      await withSession(openTiny([plugin], model), async (session) => {
        await session.transform();
        const rows = await lowRankRows(session);
        rows.flat().forEach((each) => expect(each).toBeCloseTo(value, 5));
        const [line] = compressionReport(session.inspect().edits);
        expect(line!.relativeError).toBeLessThan(1e-6);
      });
    }
  });
});
