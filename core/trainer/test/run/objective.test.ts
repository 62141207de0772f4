import { createSession, crossEntropy, memoryStore, sgd, stopGradient } from '@espalier/core';
import type { Batch, NamedTensors, Plugin, Session } from '@espalier/core';
import {
  backendsUnderTest,
  directional,
  firstDifference,
  onBackend,
  tensorsLeakedBy,
  tinyData,
  tinyNoisyMlp,
  tinySource,
  trainedValues,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  extragradient,
  labelSmoothing,
  lookAhead,
  metaStrength,
  penalty,
  weightPenalty,
} from './plugins.js';
import { plugin } from './sessions.js';

const open = (plugins: readonly Plugin[], more = {}): Promise<Session> =>
  createSession({
    model: tinyNoisyMlp,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.05, momentum: 0.9 }),
    train: tinySource(),
    plugins,
    seed: 3,
    ...more,
  });

async function batchOf(session: Session, seed = 0, key: Batch['key'] = 'b'): Promise<Batch> {
  const { x, y } = tinyData({ examples: 4, seed });
  return session.batch({ x: tf.tensor(x.data, [4, 6]), y: tf.tensor(y.data, [4], 'int32') }, key);
}

const numbers = (t: tf.Tensor) => Array.from(t.dataSync());

describe.each(backendsUnderTest())('objective on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('replays its draws, takes fresh ones when asked, and keeps moving statistics', () =>
    withSession(open([labelSmoothing(), weightPenalty()]), async (session) => {
      const batch = await batchOf(session);
      const before = valuesOf(session.parameters());
      const value = (options?: Parameters<Session['objective']>[1]) =>
        numbers(session.objective(batch, options))[0]!;
      expect(value()).toBe(value());
      expect(value({ rng: 'fresh' })).not.toBe(value());
      expect(value({ rng: 'fresh' })).not.toBe(value({ rng: 'fresh' }));
      expect(firstDifference(before, valuesOf(session.parameters()))).toBeUndefined();
      value({ state: 'update' });
      expect(firstDifference(before, valuesOf(session.parameters()))).toMatch(/^norm\/moving/);
    }));

  test("a plugin's draws replay with the batch, and are fresh with the evaluation", async () => {
    const drawn: number[] = [];
    const drawing = plugin('drawing', {
      apply: (ctx) => ctx.hooks.loss.tap(() => void drawn.push(ctx.random('loss')())),
    });
    await withSession(open([drawing], { accumulate: 2 }), async (session) => {
      const [a, b] = [await batchOf(session), await batchOf(session, 0, 'c')];
      const evaluate = (batch: Batch, rng: 'replay' | 'fresh') =>
        session.objective(batch, { rng }).dispose();
      evaluate(a, 'replay');
      evaluate(a, 'replay');
      expect(new Set(drawn).size).toBe(1);
      evaluate(b, 'replay');
      evaluate(a, 'fresh');
      evaluate(a, 'fresh');
      expect(new Set(drawn).size).toBe(4);
      drawn.length = 0;
      await session.fit({ epochs: 1 });
      expect(drawn.length).toBeGreaterThan(1);
      expect(new Set(drawn).size).toBe(drawn.length);
    });
  });

  test('leaves no tensor but its result', () =>
    withSession(open([labelSmoothing(), weightPenalty()]), async (session) => {
      const batch = await batchOf(session);
      expect(await tensorsLeakedBy(() => session.objective(batch))).toBe(0);
      expect(
        await tensorsLeakedBy(() => {
          const { total, values, gradients } = session.gradients(batch);
          return [total, ...values, gradients];
        }),
      ).toBe(0);
    }));

  test('gradients through every plugin agree with finite differences', () =>
    withSession(open([labelSmoothing(), weightPenalty()]), async (session) => {
      const batch = await batchOf(session);
      const { gradients, total } = session.gradients(batch);
      expect(numbers(total)[0]).toBeCloseTo(numbers(session.objective(batch))[0]!, 5);
      const paths = Object.keys(gradients);
      const live = session.parameters();
      const f = (...xs: tf.Tensor[]): Scalar =>
        session.objective(batch, { params: named(paths, xs) });
      for (const seed of [1, 2, 3]) {
        const xs = paths.map((path) => live[path]!);
        const [numeric, analytic] = directional(f, xs, Object.values(gradients), { seed });
        expect(analytic).toBeCloseTo(numeric, 3);
      }
    }));

  test('a term that trains one group has exactly no gradient for another', async () => {
    const grouped = weightPenalty({ trains: ['head'] });
    const withGroups: Plugin = {
      ...grouped,
      apply: (ctx) => {
        ctx.group('head', (path) => path.startsWith('logits/'));
        return grouped.apply(ctx);
      },
    };
    const optimizer = { model: sgd({ learningRate: 0.1 }), head: sgd({ learningRate: 0.1 }) };
    await withSession(open([withGroups], { optimizer }), async (session) => {
      const batch = await batchOf(session);
      const all = session.gradients(batch).gradients;
      const task = session.gradients(batch, { terms: ({ owner }) => owner === 'task' }).gradients;
      const only = session.gradients(batch, { terms: ({ owner }) => owner !== 'task' }).gradients;
      expect(Object.keys(only).sort()).toEqual(['logits/bias', 'logits/kernel']);
      expect(numbers(all['hidden/kernel']!)).toEqual(numbers(task['hidden/kernel']!));
      expect(numbers(all['logits/kernel']!)).not.toEqual(numbers(task['logits/kernel']!));
    });
  });

  test('a parameter that the loss does not reach has no gradient, whatever is stopped', () => {
    const stopping = plugin('stopping', {
      apply: (ctx) =>
        void ctx.hooks.loss.tap(({ features, terms }) => {
          const hidden = features['hidden']!;
          terms.add('size', tf.mean(tf.mul(hidden, stopGradient(hidden))) as Scalar);
        }),
    });
    const asking = plugin('asking', { apply: (ctx) => ctx.requestFeatures(['hidden']) });
    return withSession(open([asking, stopping]), async (session) => {
      const terms = ({ owner }: { owner: string }) => owner === 'stopping';
      const { total, values, gradients } = session.gradients(await batchOf(session), { terms });
      expect(Object.keys(gradients).sort()).toEqual(['hidden/bias', 'hidden/kernel']);
      tf.dispose([total, [...values], gradients]);
    });
  });

  test('an extragradient plugin steps with the gradient at the look-ahead point', () =>
    withSession(open([labelSmoothing(), weightPenalty(), extragradient()]), async (session) => {
      const batch = await batchOf(session, 0, 0);
      const start = Object.fromEntries(
        Object.entries(session.parameters()).map(([path, t]) => [path, tf.clone(t)]),
      );
      const plain = session.gradients(batch).gradients;
      const ahead = lookAhead(start, plain, 0.05);
      const paths = Object.keys(ahead);
      await session.step({ x: batch.inputs, y: batch.targets });
      const stepped = paths.map((path) =>
        tf.div(tf.sub(start[path]!, session.parameters()[path]!), 0.05),
      );
      const f = (...xs: tf.Tensor[]): Scalar =>
        session.objective(batch, { params: { ...start, ...named(paths, xs) } });
      const xs = paths.map((path) => ahead[path]!);
      for (const seed of [1, 2, 3]) {
        const [numeric, analytic] = directional(f, xs, stepped, { seed });
        expect(analytic).toBeCloseTo(numeric, 3);
      }
    }));

  test('a one-step meta-gradient agrees with finite differences', () =>
    withSession(open([labelSmoothing(), weightPenalty()]), async (session) => {
      const [first, second] = [await batchOf(session, 0, 'i'), await batchOf(session, 1, 'o')];
      const outer = (strength: Scalar): Scalar => {
        penalty.strength = strength;
        const { gradients } = session.gradients(first);
        const params = lookAhead(session.parameters(), gradients, 0.5);
        return session.objective(second, { params, terms: ({ owner }) => owner === 'task' });
      };
      const at = (s: number) => numbers(tf.tidy(() => outer(tf.scalar(s))))[0]!;
      const analytic = numbers(
        tf.tidy(() => tf.grad((s) => outer(s as Scalar))(tf.scalar(0.05))),
      )[0]!;
      expect(Math.abs(analytic)).toBeGreaterThan(1e-2);
      const numeric = (at(0.07) - at(0.03)) / 0.04;
      penalty.strength = 0.05;
      expect(analytic).toBeCloseTo(numeric, 3);
    }));

  test.each([
    ['extragradient', () => [labelSmoothing(), weightPenalty(), extragradient()], 1],
    ['meta-gradient', () => [labelSmoothing(), weightPenalty(), metaStrength()], 2],
  ] as const)(
    '%s resumes bit for bit in the middle of an epoch',
    async (_name, plugins, accumulate) => {
      const more = { accumulate };
      const whole = await withSession(open(plugins(), more), (s) => trainedValues(s, 2));
      const checkpoint = { store: memoryStore(), everySteps: 2 };
      await withSession(open(plugins(), { ...more, checkpoint }), async (session) => {
        const stop = new AbortController();
        session.telemetry.on('checkpoint', () => stop.abort());
        await session.fit({ epochs: 2, signal: stop.signal });
        expect(session.clock).toMatchObject({ epoch: 0, step: 2 });
      });
      const resumed = await withSession(
        open(plugins(), { ...more, checkpoint }),
        async (session) => {
          expect(await session.load()).toBe(true);
          return trainedValues(session, 2);
        },
      );
      expect(firstDifference(whole, resumed)).toBeUndefined();
    },
  );
});

function named(paths: readonly string[], xs: readonly tf.Tensor[]): NamedTensors {
  return Object.fromEntries(paths.map((path, i) => [path, xs[i]!]));
}
