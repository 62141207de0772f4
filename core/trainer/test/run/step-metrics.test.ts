import { accuracy, memoryStore } from '@espalier/core';
import type { LossContext, SessionConfig } from '@espalier/core';
import {
  firstDifference,
  onBackend,
  tensorsLeakedBy,
  tinyData,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

/** A session whose plugin reports something in every `loss` tap. */
const reporting = (report: (context: LossContext) => void, more: Partial<SessionConfig> = {}) =>
  open({
    plugins: [plugin('reporting', { apply: (ctx) => ctx.hooks.loss.tap(report) })],
    ...more,
  });

/** A batch whose examples have these weights. */
function makeBatch(weights: readonly number[]) {
  const { x, y } = tinyData({ examples: weights.length });
  return {
    x: tf.tensor2d(x.data, [weights.length, 6]),
    y: tf.tensor1d(y.data, 'int32'),
    weights: tf.tensor1d([...weights]),
  };
}

test('values per example are reduced by weight; scalars stay', () =>
  withSession(
    reporting(({ outputs, targets, metric, mean }) => {
      metric('each', tf.tensor1d([4, NaN, 1]));
      metric('hits', accuracy(outputs['logits']!, targets['logits']!));
      metric('same', mean(accuracy(outputs['logits']!, targets['logits']!)));
      metric('whole', tf.scalar(3, 'int32'));
    }),
    async (session) => {
      const { metrics } = await session.step(makeBatch([2, 0, 1]));
      expect(metrics).toEqual({ each: 3, hits: metrics['same'], same: metrics['hits'], whole: 3 });
    },
  ));

test('micro-batches are combined by weight, those of weight 0 left out', () =>
  withSession(
    reporting(({ batch, metric }) => {
      metric('size', tf.scalar(batch.size === 4 ? NaN : batch.size));
      if (batch.size === 2) metric('some', tf.scalar(7));
    }),
    async (session) => {
      const window = [
        [1, 0, 2],
        [1, 1],
        [0, 0, 0, 0],
      ].map(makeBatch);
      const { metrics } = await session.step(window);
      expect(metrics['size']).toBeCloseTo((3 * 3 + 2 * 2) / 5, 6);
      expect(metrics['some']).toBe(7);
    },
  ));

describe('over an epoch', () => {
  const numbers = [NaN, 1, 4];
  const report = ({ clock, metric }: LossContext) => {
    metric('odd', tf.scalar(numbers[clock.step]!));
    if (clock.step > 0) metric('later', tf.scalar(numbers[clock.step]!));
  };

  test('it is the weighted mean over the steps that have it; NaN is no fault; it is resumed', async () => {
    const store = memoryStore();
    await withSession(reporting(report), async (session) => {
      await session.beginEpoch();
      await session.step(makeBatch([1, 1]), { inEpoch: true });
      await session.step(makeBatch([1, 1]), { inEpoch: true });
      await session.save(store);
    });
    await withSession(reporting(report), async (session) => {
      await session.load({ store });
      await session.step(makeBatch([1]), { inEpoch: true });
      const { metrics } = await session.endEpoch();
      expect(metrics).toMatchObject({ odd: NaN, later: 2 });
      expect(session.clock.step).toBe(3);
    });
  });

  test('a fit has it in its history', () =>
    withSession(
      reporting(({ metric }) => metric('one', tf.scalar(1))),
      async (session) => {
        const { history } = await session.fit({ epochs: 1 });
        expect(history[0]!.metrics).toMatchObject({ one: 1 });
      },
    ));
});

test('it changes no bit of the training and leaves no tensor', async () => {
  const trained = (report: (context: LossContext) => void) =>
    withSession(reporting(report, { accumulate: 2 }), async (session) => {
      await session.fit({ epochs: 1 });
      expect(await tensorsLeakedBy(() => session.fit({ epochs: 1 }).then(() => []))).toBe(0);
      return valuesOf(session.parameters());
    });
  const plain = await trained(() => undefined);
  const measured = await trained(({ outputs, metric }) =>
    metric('size', tf.sum(tf.square(outputs['logits']!)) as tf.Scalar),
  );
  expect(firstDifference(plain, measured)).toBeUndefined();
});

test('nested evaluations ignore it', () =>
  withSession(
    reporting(({ metric, nested }) => metric(nested ? 'loss' : 'fine', tf.scalar(1))),
    async (session) => {
      const batch = await session.batch(makeBatch([1]), 'nested');
      tf.dispose(session.objective(batch));
      expect(session.gradients(batch, { state: 'update' })).toMatchObject({ metrics: {} });
      expect((await session.step(makeBatch([1]))).metrics).toEqual({ fine: 1 });
    },
  ));

describe('refused, by plugin and hook', () => {
  const cases: readonly [string, RegExp, (context: LossContext) => void][] = [
    [
      'a name twice',
      /already a metric 'a'/,
      ({ metric }) => ['a', 'a'].forEach((name) => metric(name, tf.scalar(1))),
    ],
    ['a number of the loop', /'val\/…'/, ({ metric }) => metric('val/acc', tf.scalar(1))],
    [
      'another shape',
      /one value per example: \[2\]/,
      ({ metric }) => metric('a', tf.zeros([3]) as tf.Tensor1D),
    ],
    ['a number', /must be a scalar.*Received: 3/, ({ metric }) => metric('a', 3 as never)],
  ];
  test.each(cases)('%s', (_, message, report) =>
    withSession(reporting(report), async (session) => {
      const error = await refusal(() => session.step(makeBatch([1, 1])));
      expect(error.code).toBe('loss/metric');
      expect(error.message).toMatch(message);
      expect(error.message).toMatch(/plugin reporting. loss/);
    }),
  );
});
