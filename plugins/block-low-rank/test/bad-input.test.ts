import { compressionReport } from '@espalier/compression';
import { EspalierError } from '@espalier/core';
import type { Plugin } from '@espalier/core';
import { blockLowRank, rankRule, wordImportance } from '@espalier/plugin-block-low-rank';
import type { BlockLowRankOptions } from '@espalier/plugin-block-low-rank';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import { liveTensors, onBackend, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { COLUMNS, openTiny, tinyLanguageModel, weighing, wideHead, WORDS, zipf } from './models.js';

beforeAll(() => onBackend('cpu'));

const counts = zipf();
const BOTH = { layers: ['embedding', 'softmax'] };

/** What `transform` says. */
async function refusal(
  plugins: readonly Plugin[],
  model: () => tfl.LayersModel = tinyLanguageModel,
): Promise<EspalierError> {
  return withSession(openTiny(plugins, model), async (session) => {
    const error: unknown = await session.transform().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(EspalierError);
    expect(session.inspect().edits).toEqual([]);
    return error as EspalierError;
  });
}

describe('options', () => {
  test.each<[unknown, RegExp]>([
    [{ ratio: 1 }, /option 'ratio'.*received 1/],
    [{ ratio: '4' }, /option 'ratio'.*received "4"/],
    [{ budget: 0 }, /option 'budget'.*received 0/],
    [{ budget: '10 parsecs' }, /option 'budget'.*received "10 parsecs"/],
    [{ maxError: 1 }, /option 'maxError'.*received 1/],
    [{ rank: 0 }, /option 'rank'.*received 0/],
    [{ rank: 2.5 }, /option 'rank'.*received 2.5/],
    [{ rank: [] }, /option 'rank'/],
    [{ layers: [] }, /option 'layers'/],
    [{ layers: 'softmax' }, /option 'layers'.*received "softmax"/],
    [{ layers: ['softmax', 'softmax'] }, /option 'layers'.*named twice/],
    [{ minSize: 0 }, /option 'minSize'.*received 0/],
    [{ tied: true }, /option 'tied'.*received true/],
    [{ ratoi: 4 }, /unknown option 'ratoi'. Did you mean 'ratio'\?/],
    [{ ratio: 4, rank: 3 }, /give one of ratio, budget, maxError and rank/],
    [{ budget: '1MB', maxError: 0.1 }, /give one of ratio, budget, maxError and rank/],
  ])('%j', (options, message) => {
    expect(() => blockLowRank(options as BlockLowRankOptions)).toThrow(message);
  });

  test('of the other plugins', () => {
    expect(() => rankRule({ rule: 'gready' as 'greedy' })).toThrow(/option 'rule'.*"gready"/);
    expect(() => wordImportance({ power: 0 })).toThrow(/option 'power'.*received 0/);
    expect(() => wordImportance({ rows: 'count' as 'counts' })).toThrow(/option 'rows'.*"count"/);
  });
});

describe('layers', () => {
  test.each<[string, BlockLowRankOptions, RegExp]>([
    ['unknown', { layers: ['sofmax'] }, /no layer 'sofmax'.*Did you mean 'softmax'\?/],
    [
      'no matrix',
      { layers: ['pool'] },
      /'pool' is neither an Embedding nor a Dense layer.*GlobalAveragePooling1D.*embedding, hidden, softmax/,
    ],
    ['none large enough', {}, /no embedding, and no dense layer.*50000.*lower minSize/],
  ])('%s', async (_, options, message) => {
    expect((await refusal([blockLowRank(options)])).message).toMatch(message);
  });

  test('a metric of very many columns', async () => {
    const metric = weighing({ rows: new Float64Array(10).fill(1), metric: new Float64Array(0) });
    const { message } = await refusal(
      [metric, blockLowRank({ layers: ['head'], rank: 1 })],
      wideHead,
    );
    expect(message).toMatch(/9216 columns of layer 'head'.*8192.*'euclidean'.*low-rank\/wide/);
  });

  test('in low rank already', async () => {
    await withSession(openTiny([blockLowRank({ layers: ['softmax'] })]), async (session) => {
      await session.transform();
      await expect(session.transform()).rejects.toThrow(/layer 'softmax' is in low rank already/);
    });
  });

  test('all of them in low rank already: nothing is left to do', async () => {
    await withSession(openTiny([blockLowRank({ minSize: 400 })]), async (session) => {
      await session.transform();
      await session.transform();
      expect(session.inspect().edits.length).toBe(1);
    });
  });
});

describe('size', () => {
  test('a ratio that is too high: the error names one that works', async () => {
    const blocks = 6;
    const plugins = (ratio: number) => [
      vocabPartition({ counts, blocks, refine: false }),
      blockLowRank({ ...BOTH, ratio }),
    ];
    const { message } = await refusal(plugins(20));
    // Six blocks of ten words and eight columns at rank 1: 6 · (10 + 8) · 4 bytes.
    expect(message).toMatch(/layer 'embedding' takes 432 bytes at least.*Received: 20\./);
    const most = Number(/largest possible ratio is (\d+(?:\.\d+)?)/.exec(message)![1]);
    await withSession(openTiny(plugins(most)), async (session) => {
      await session.transform();
      for (const { bytesAfter } of compressionReport(session.inspect().edits)) {
        expect(bytesAfter).toBe(432);
      }
    });
  });

  test('a budget that is too small for one of several layers: that very number works', async () => {
    // A layer whose least share is larger than that of the others.
    const layers = ['embedding', 'hidden', 'softmax'];
    const plugins = (budget: number | string) => [blockLowRank({ layers, budget })];
    const { message } = await refusal(plugins('0.3kB'));
    expect(message).toMatch(/layer 'embedding' takes 272 bytes.*Received: 300\./);
    const least = Number(/smallest possible budget is (\d+) bytes/.exec(message)![1]);
    await expect(refusal(plugins(least - 1))).resolves.toHaveProperty('code');
    await withSession(openTiny(plugins(least)), async (session) => {
      await session.transform();
      const account = compressionReport(session.inspect().edits);
      const bytes = account.reduce((sum, { bytesAfter }) => sum + bytesAfter, 0);
      expect(bytes).toBeLessThanOrEqual(least);
    });
  });

  test('partitions that do not fit are passed over for one that does', async () => {
    const plugins = [
      vocabPartition({ counts, blocks: 'auto', refine: false }),
      blockLowRank({ layers: ['softmax'], ratio: 7 }),
    ];
    await withSession(openTiny(plugins), async (session) => {
      await session.transform();
      const [line] = compressionReport(session.inspect().edits);
      expect(line!.bytesAfter).toBeLessThanOrEqual((4 * WORDS * COLUMNS) / 7);
      expect(line!.summary).toMatch(/^1 block/);
    });
  });

  test.each<[string, number | number[], RegExp]>([
    ['above the columns', 9, /block 1 of 2 has 30 words of 8 numbers.*8 at most.*Received: 9/],
    ['missing', [3], /there are 2 blocks and 1 ranks/],
  ])('ranks: %s', async (_, rank, message) => {
    const plugins = [vocabPartition({ counts, blocks: 2 }), blockLowRank({ ...BOTH, rank })];
    expect((await refusal(plugins)).message).toMatch(message);
  });

  test('ranks: above the words of a block', async () => {
    const partition = vocabPartition({ counts, method: 'cut-offs', cutoffs: [4] });
    const { message } = await refusal([partition, blockLowRank({ ...BOTH, rank: 6 })]);
    expect(message).toMatch(/block 1 of 2 has 4 words of 8 numbers.*4 at most/);
  });
});

describe('numbers', () => {
  /** A model with one bad number in the matrix of a layer. */
  const spoilt = (layer: string, at: number, value: number) => () => {
    const model = tinyLanguageModel();
    const [matrix, ...rest] = model.getLayer(layer).getWeights();
    const data = matrix!.dataSync().slice();
    data[at] = value;
    model.getLayer(layer).setWeights([tf.tensor(data, matrix!.shape), ...rest]);
    return model;
  };

  test.each<[string, number, number, RegExp]>([
    ['embedding', 3 * COLUMNS + 5, NaN, /'embedding' is not finite at row 3, column 5.*NaN/],
    ['softmax', 2 * WORDS + 41, Infinity, /'softmax' is not finite at row 41, column 2.*Infinity/],
  ])('of %s: number %d is %d', async (layer, at, value, message) => {
    const model = spoilt(layer, at, value);
    expect((await refusal([blockLowRank(BOTH)], model)).message).toMatch(message);
  });

  test('after a failure the model is as it was, and no tensor is left', async () => {
    const model = spoilt('softmax', 0, NaN);
    await withSession(openTiny([blockLowRank(BOTH)], model), async (session) => {
      await expect(session.transform()).rejects.toThrow(/not finite/);
      const before = liveTensors();
      await expect(session.transform()).rejects.toThrow(/not finite/);
      expect(liveTensors()).toBe(before);
      expect(session.model.getLayer('embedding').getClassName()).toBe('Embedding');
    });
  });
});

describe('words', () => {
  test('counts of another length than an embedding has rows', async () => {
    const plugins = [vocabPartition({ counts: counts.slice(1) }), blockLowRank(BOTH)];
    expect((await refusal(plugins)).message).toMatch(/there are 59 word counts.*60 rows/);
  });

  test('nothing counted yet', async () => {
    const plugins = [vocabPartition(), blockLowRank({ layers: ['softmax'] })];
    expect((await refusal(plugins)).message).toMatch(/no word has been counted yet/);
  });

  test('a layer whose units are no words, weighed by counts', async () => {
    const plugins = [
      vocabPartition({ counts, blocks: 2 }),
      wordImportance({ rows: 'counts' }),
      blockLowRank({ layers: ['embedding', 'hidden', 'softmax'], ratio: 1.5 }),
    ];
    expect((await refusal(plugins)).message).toMatch(
      /rows of layer 'hidden' by counts.*its 8 words.*blockLowRank\(\{ layers/,
    );
  });

  test('statistics of another layer', async () => {
    const plugins = [
      wordImportance({ rows: 'uniform', metric: 'hidden-covariance', softmax: 'softmax' }),
      blockLowRank({ layers: ['softmax'], ratio: 1.5 }),
    ];
    expect((await refusal(plugins)).message).toMatch(/no statistics were gathered for 'softmax'/);
  });

  test('no layer to gather statistics at', async () => {
    const plugins = [wordImportance({ metric: 'hidden-covariance', softmax: 'sofmax' })];
    await expect(openTiny(plugins)).rejects.toThrow(/option 'softmax'.*'sofmax'.*hidden, softmax/);
  });
});
