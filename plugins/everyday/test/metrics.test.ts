import { arraySource, binaryCrossEntropy, crossEntropy, meanSquaredError } from '@espalier/core';
import type { HostArray, SessionConfig, Source } from '@espalier/core';
import {
  computeAuroc,
  countOutcomes,
  metrics,
  printConfusion,
  scoreOutcomes,
  trainingMetrics,
} from '@espalier/plugin-everyday';
import type { Average, Score } from '@espalier/plugin-everyday';
import { onBackend, tinySource, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { aurocOf, drawJudged, referenceOf, scoresOf } from './reference.js';
import type { Judged } from './reference.js';
import { oneUnit, open } from './support.js';

beforeAll(() => onBackend('cpu'));

describe('values of the documentation of scikit-learn', () => {
  // y_true = [0, 1, 2, 0, 1, 2], y_pred = [0, 2, 1, 0, 0, 1]
  const confusion = [
    [2, 0, 0],
    [1, 0, 1],
    [0, 2, 0],
  ];

  test.each<[Score, Average, Record<string, number>]>([
    ['f1', 'macro', { '': 0.26666666666666666 }],
    ['f1', 'micro', { '': 0.3333333333333333 }],
    ['f1', 'classes', { 0: 0.8, 1: 0, 2: 0 }],
    ['precision', 'macro', { '': 0.2222222222222222 }],
    ['precision', 'classes', { 0: 0.6666666666666666, 1: 0, 2: 0 }],
    ['recall', 'macro', { '': 0.3333333333333333 }],
    ['recall', 'classes', { 0: 1, 1: 0, 2: 0 }],
  ])('%s %s', (score, average, expected) => {
    const found = scoreOutcomes(score, countOutcomes(confusion), average);
    expect(Object.keys(found)).toEqual(Object.keys(expected));
    Object.values(expected).forEach((value, i) =>
      expect(Object.values(found)[i]).toBeCloseTo(value, 14),
    );
  });

  test('the area under the ROC curve', () => {
    const scores = [0.1, 0.4, 0.35, 0.8];
    expect(computeAuroc({ scores, isPositive: (i) => i >= 2 })).toBe(0.75);
  });

  test('top-2 accuracy', async () => {
    const scores = [
      [0.5, 0.2, 0.2],
      [0.3, 0.4, 0.2],
      [0.2, 0.4, 0.3],
      [0.7, 0.2, 0.1],
    ];
    const judged = { scores, actual: [0, 1, 2, 2], weights: [1, 1, 1, 1] };
    expect(await evaluate(judged, { topK: [2] })).toMatchObject({ 'top-2': 0.75 });
  });
});

describe('by hand', () => {
  test('ties count half, and what weighs 0 not at all', () => {
    const isPositive = (i: number) => i % 2 === 0;
    expect(computeAuroc({ scores: [1, 1], isPositive })).toBe(0.5);
    expect(computeAuroc({ scores: [2, 1, 1], isPositive })).toBe(0.75);
    expect(computeAuroc({ scores: [2, 1, NaN], isPositive, weights: [1, 1, 0] })).toBe(1);
    expect(computeAuroc({ scores: [2, 1, NaN], isPositive })).toBeNaN();
    expect(computeAuroc({ scores: [2, 1], isPositive: () => true })).toBeNaN();
  });

  test('a class that neither occurs nor is predicted is left out', () => {
    const outcomes = countOutcomes([
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 0],
    ]);
    expect(scoreOutcomes('f1', outcomes, 'macro')).toEqual({ '': 1 });
    expect(scoreOutcomes('f1', outcomes, 'classes')).toEqual({ 0: 1, 1: 1, 2: NaN });
    expect(scoreOutcomes('recall', outcomes, 'positive')).toEqual({ '': 1 });
  });

  test('a confusion matrix as a table', () => {
    expect(
      printConfusion(
        [
          [10, 0.5],
          [1, 2],
        ],
        ['cat', 'dog'],
      ),
    ).toBe(
      [
        'actual \\ predicted  cat  dog',
        'cat                  10  0.5',
        'dog                   1    2',
      ].join('\n'),
    );
  });
});

/** A model whose outputs are its inputs. */
const identity = (shape: readonly number[]) => () =>
  tfl.sequential({
    layers: [
      tfl.layers.dense({
        ...{ name: 'logits', units: shape.at(-1)!, useBias: false },
        ...{ kernelInitializer: 'identity', inputShape: [...shape] },
      }),
    ],
  });

const toArray = (values: readonly number[], shape: readonly number[]): HostArray => ({
  data: Float32Array.from(values),
  shape,
});

function sourceOf({ actual, scores, weights }: Judged): Source {
  return arraySource({
    x: toArray(scores.flat(), [scores.length, scores[0]!.length]),
    y: { data: Int32Array.from(actual), shape: [actual.length] },
    weights: Float32Array.from(weights),
    batchSize: 7,
    shuffle: false,
  });
}

type Options = NonNullable<Parameters<typeof metrics>[0]>;

/** What a session says of a source; `more` of its configuration. */
function evaluateSource(
  source: Source,
  shape: readonly number[],
  options: Options,
  more: Partial<SessionConfig> = {},
) {
  const reports: unknown[] = [];
  return withSession(
    open({ model: identity(shape), plugins: [metrics(options)], ...more }),
    async (session) => {
      session.telemetry.on('report', ({ data }) => reports.push(data));
      return { ...(await session.evaluate(source)), reports } as Record<string, unknown>;
    },
  );
}

function evaluate(judged: Judged, options: Options) {
  return evaluateSource(sourceOf(judged), [judged.scores[0]!.length], options);
}

function expectClose(actual: Record<string, unknown>, expected: Record<string, number>): void {
  for (const [name, value] of Object.entries(expected))
    expect(actual[name], name).toBeCloseTo(value, 6);
}

const ALL = { compute: ['f1', 'precision', 'recall', 'auroc', 'confusion'], topK: [2] } as const;

describe('metrics', () => {
  test('of classes are those of a slow reference', async () => {
    const judged = drawJudged(40, 4);
    const options = {
      ...ALL,
      compute: [...ALL.compute],
      topK: [...ALL.topK],
      averages: ['macro', 'micro', 'classes'],
    } satisfies Options;
    const found = await evaluate(judged, options);
    const { confusion, ...numbers } = referenceOf(judged);
    expectClose(found, numbers);
    expect(found['reports']).toEqual([{ output: 'logits', of: 'evaluation', matrix: confusion }]);
  });

  test('of one unit are those of its class 1', async () => {
    const judged = drawJudged(40, 2);
    const scores = judged.scores.map(([score]) => score! - 1);
    const source = arraySource({
      x: toArray(scores, [40, 1]),
      y: toArray(judged.actual, [40, 1]),
      weights: Float32Array.from(judged.weights),
      batchSize: 7,
    });
    const options: Options = {
      compute: ['f1', 'precision', 'recall', 'auroc'],
      averages: ['positive', 'micro'],
    };
    const found = await evaluateSource(source, [1], options, { loss: binaryCrossEntropy() });
    const predicted = scores.map((score) => Number(score > 0));
    expectClose(found, {
      ...scoresOf(judged, predicted, 1),
      'f1/micro': found['accuracy'] as number,
      auroc: aurocOf(judged, scores, 1),
    });
  });

  test('of labels are means over the labels', async () => {
    const two = [drawJudged(40, 2), drawJudged(40, 3)].map((each) => ({
      ...each,
      actual: each.actual.map((id) => Number(id > 0)),
      weights: each.weights.map(() => 1),
      score: each.scores.map(([score]) => score! - 1),
    }));
    const join = (of: (label: (typeof two)[number]) => number[]) =>
      of(two[0]!).flatMap((value, i) => [value, of(two[1]!)[i]!]);
    const source = arraySource({
      x: toArray(
        join(({ score }) => score),
        [40, 2],
      ),
      y: toArray(
        join(({ actual }) => actual),
        [40, 2],
      ),
      batchSize: 7,
    });
    const options: Options = { compute: ['f1', 'auroc'] };
    const found = await evaluateSource(source, [2], options, { loss: binaryCrossEntropy() });
    const [a, b] = two.map((label) => ({
      f1: scoresOf(
        label,
        label.score.map((score) => Number(score > 0)),
        1,
      ).f1,
      auroc: aurocOf(label, label.score, 1),
    })) as [Record<'f1' | 'auroc', number>, Record<'f1' | 'auroc', number>];
    expectClose(found, { f1: (a.f1 + b.f1) / 2, auroc: (a.auroc + b.auroc) / 2 });
  });

  test('of time steps share the weight of their example', async () => {
    const judged = drawJudged(12, 3);
    const weights = Float32Array.from({ length: 12 }, (_, i) => Number(i % 3 > 0));
    const base = {
      x: toArray(judged.scores.flat(), [4, 3, 3]),
      y: { data: Int32Array.from(judged.actual), shape: [4, 3] },
      batchSize: 3,
    };
    const one = { ...judged, weights: judged.weights.map(() => 1) };
    const unweighted = await evaluateSource(arraySource(base), [3, 3], { topK: [1] });
    expectClose(unweighted, { f1: referenceOf(one).f1, 'top-1': unweighted['accuracy'] as number });
    const source = arraySource({ ...base, weights: { data: weights, shape: [4, 3] } });
    const weighed = await evaluateSource(source, [3, 3], { topK: [1] });
    expectClose(weighed, {
      f1: referenceOf({ ...judged, weights: [...weights] }).f1,
      'top-1': weighed['accuracy'] as number,
    });
  });

  test('are NaN where an output is', async () => {
    const judged = { ...drawJudged(8, 3), weights: new Array<number>(8).fill(1) };
    const scores = judged.scores.map((row, i) => (i === 3 ? [NaN, 0, 0] : row));
    const found = await evaluate({ ...judged, scores }, { compute: ['f1', 'auroc'], topK: [1] });
    expect(found).toMatchObject({ f1: NaN, auroc: NaN, 'top-1': NaN });
    const masked = { ...judged, scores, weights: judged.weights.map((_, i) => Number(i !== 3)) };
    expect(await evaluate(masked, { topK: [1] })).not.toMatchObject({ 'top-1': NaN });
  });

  test.each<[string, Options, Partial<SessionConfig>, RegExp]>([
    ['no-classes', {}, { loss: meanSquaredError() }, /'logits' is trained by mean-squared-error/],
    ['output', { output: 'logit' }, {}, /Did you mean 'logits'/],
    ['kind', { topK: [3] }, {}, /top-3: it has 3 classes/],
    ['kind', { averages: ['positive'] }, {}, /'positive': it has not two classes but 3/],
    ['kind', { compute: ['confusion'] }, { loss: binaryCrossEntropy() }, /several of its labels/],
    [
      'kind',
      { topK: [1] },
      { model: oneUnit, loss: binaryCrossEntropy() },
      /no classes of one choice/,
    ],
  ])('refuses metrics/%s: %j', async (code, options, more, says) => {
    for (const make of [metrics, trainingMetrics]) {
      const opening = open({ ...more, plugins: [make(options)] });
      await expect(opening).rejects.toThrow(says);
      await expect(opening).rejects.toMatchObject({ code: `metrics/${code}` });
    }
  });
});

describe('trainingMetrics', () => {
  test('are those of the batches as they were trained on', async () => {
    const judged = drawJudged(28, 3);
    const reports: unknown[] = [];
    const base = {
      model: identity([3]),
      loss: crossEntropy(),
      train: sourceOf(judged),
      accumulate: 2,
    };
    const options: Parameters<typeof trainingMetrics>[0] = {
      compute: ['accuracy', 'f1', 'auroc', 'confusion'],
      topK: [2],
    };
    const frozen: Partial<SessionConfig> = {
      ...base,
      optimizer: { name: 'none', init: () => ({}), update: (_, state) => ({ updates: {}, state }) },
    };
    await withSession(open({ ...frozen, plugins: [trainingMetrics(options)] }), async (session) => {
      session.telemetry.on('report', ({ data }) => reports.push(data));
      const own = { x: tf.zeros([1, 3]), y: tf.tensor1d([0], 'int32') };
      await session.step(own);
      tf.dispose(own);
      const { history } = await session.fit({ epochs: 2 });
      const { confusion, accuracy, f1, auroc, 'top-2': top } = referenceOf(judged);
      for (const { metrics: found } of history)
        expectClose(found, { accuracy, f1, auroc, 'top-2': top });
      expect(reports).toEqual(
        [1, 2].map(() => ({ output: 'logits', of: 'training', matrix: confusion })),
      );
    });
  });

  test('change no bit of the weights', async () => {
    const run = (plugins: SessionConfig['plugins']) =>
      withSession(open({ train: tinySource(), plugins }), async (session) => {
        await session.fit({ epochs: 1 });
        return Object.values(session.parameters()).map((value) => [...value.dataSync()]);
      });
    const all: Parameters<typeof trainingMetrics>[0] = { compute: ['f1', 'auroc'], topK: [2] };
    expect(await run([trainingMetrics(all)])).toEqual(await run([]));
  });
});
