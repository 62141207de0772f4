import {
  adam,
  arraySource,
  createSession,
  crossEntropy,
  definePlugin,
  fromTfOptimizer,
  memoryStore,
  sgd,
} from '@espalier/core';
import type { Preset, Session, SessionConfig, GradientTransform } from '@espalier/core';
import { bilevel, jvp, runProblem, unroll, verify } from '@espalier/plugin-bilevel';
import type { Estimator, VerifyOptions } from '@espalier/plugin-bilevel';
import {
  firstDifference,
  onBackend,
  tinyData,
  tinyMlp,
  tinySource,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { quadratic } from './problems.js';
import { softLabels } from './soft-labels.js';

beforeAll(() => onBackend('cpu'));

/** Two networks of one plugin: the loss trains one, what it pulls towards comes from the other. */
const pair = definePlugin({
  id: 'pair',
  version: '1.0.0',
  options: z.strictObject({}),
  effects: { loss: 'add', 'structure:pair': 'add' },
  stateless: true,
  apply(ctx) {
    const network = (name: string) => {
      const dense = () => layers.dense({ name, units: 1, inputShape: [3], activation: 'tanh' });
      return ctx.addNetwork(() => sequential({ layers: [dense()] }));
    };
    const [guide, follower] = [network('guide'), network('follower')];
    ctx.hooks.loss.tap(({ outputs, terms, mean }) => {
      const x = outputs['logits']!;
      const { guide: goal } = guide.execute({ guide_input: x }, { detach: true });
      const { follower: made } = follower.execute({ follower_input: x });
      terms.add('gap', mean(tf.sum(tf.square(tf.sub(goal!, made!)), -1) as Tensor1D));
    });
  },
});

const softly = softLabels({ layer: 'hidden', features: [8], weight: 2 });

function open(preset: Preset, more: Partial<SessionConfig> = {}): Promise<Session> {
  return createSession({
    model: tinyMlp,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1 }),
    train: tinySource({ examples: 20 }),
    seed: 5,
    preset,
    ...more,
  });
}

/** Soft labels learned on the outside, with components of one's own. */
const learned = (bind: Readonly<Record<string, () => unknown>>, variables = ['soft-labels:*']) => ({
  plugins: {
    'soft-labels': { use: softLabels, options: { layer: 'hidden', features: [8], weight: 2 } },
    bilevel: {
      use: bilevel,
      options: { variables },
      bind: Object.fromEntries(Object.entries(bind).map(([token, use]) => [token, { use }])),
    },
  },
});

function batchOf(session: Session, seed: number) {
  const { x, y } = tinyData({ examples: 6, seed });
  const raw = { x: tf.tensor(x.data, x.shape as number[]), y: tf.tensor(y.data, [6], 'int32') };
  return session.batch(raw, `batch ${seed}`);
}

const problemOf = async (session: Session, variables: string[], loss: string[]) =>
  runProblem(session, {
    variables,
    loss,
    microBatches: [await batchOf(session, 0)],
    outer: await batchOf(session, 1),
    optimizer: sgd({ learningRate: 0.3 }),
  });

describe('a problem of a run', () => {
  test('leaves to the loss the other networks of a plugin that has an outer one', () =>
    withSession(
      createSession({
        model: tinyMlp,
        loss: crossEntropy(),
        optimizer: sgd({ learningRate: 0.1 }),
        train: tinySource({}),
        plugins: [pair()],
      }),
      async (session) => {
        const problem = await problemOf(session, ['pair:guide/*'], ['pair/*']);
        const stepped: string[] = [];
        const plain = sgd({ learningRate: 0.3 });
        const optimizer: GradientTransform = {
          ...plain,
          update(gradients, ...rest) {
            stepped.push(...Object.keys(gradients));
            return plain.update(gradients, ...rest);
          },
        };
        const { gradients, outer } = unroll({ ...problem, optimizer });
        expect(stepped).toEqual(expect.arrayContaining(['pair:follower/kernel', 'logits/kernel']));
        expect(Object.keys(gradients).sort()).toEqual(['pair:guide/bias', 'pair:guide/kernel']);
        tf.dispose([outer, gradients]);
      },
    ));

  test('has the outer loss depend on φ where its own terms do, though the loss detaches it', () =>
    withSession(
      createSession({
        model: tinyMlp,
        loss: crossEntropy(),
        optimizer: sgd({ learningRate: 0.1 }),
        train: tinySource({}),
        plugins: [softly],
      }),
      async (session) => {
        const problem = await problemOf(session, ['soft-labels:*'], ['*']);
        const { results } = await verify(problem, {
          estimators: { unroll, jvp },
          directions: 8,
          runs: 1,
        });
        expect(results).toHaveLength(2);
        for (const { cosine } of results) expect(cosine).toBeGreaterThan(0.999);
      },
    ));
});

describe('verify refuses', () => {
  test('a problem that differs from one evaluation to the next', async () => {
    let draw = 0;
    const restless = quadratic({
      outer: ({ w }) => tf.add(tf.sum(tf.square(w!)), (draw += 0.01)),
    });
    await expect(verify(restless)).rejects.toMatchObject({ code: 'bilevel/not-repeatable' });
  });

  test('an outer loss that is not finite', async () => {
    const broken = quadratic({ outer: ({ w }) => tf.sum(tf.log(tf.sub(w!, 100))) });
    await expect(verify(broken)).rejects.toMatchObject({ code: 'bilevel/not-finite' });
  });

  test.each([
    [{ runs: 0 }, "option 'runs'"],
    [{ directions: 0 }, "option 'directions'"],
    [{ step: NaN }, "option 'step'"],
    [{ direction: 3 }, "Did you mean 'directions'?"],
  ])('%j', async (options, message) => {
    await expect(verify(quadratic(), options as VerifyOptions)).rejects.toThrow(message);
  });
});

describe('a checkpoint', () => {
  const momentum = () => sgd({ learningRate: 0.1, momentum: 0.9 });

  const written = learned({ 'outer-optimizer': momentum });

  test.each<[string, Preset]>([
    ['another outer optimizer', learned({ 'outer-optimizer': () => adam() })],
    ['one without slots', learned({ 'outer-optimizer': () => sgd({ learningRate: 0.1 }) })],
    ['other variables', learned({ 'outer-optimizer': momentum }, ['soft-labels:*', 'hidden/*'])],
  ])('is refused where there is %s, and nothing is lost', async (_, other) => {
    const store = memoryStore();
    const saved = await withSession(open(written), async (session) => {
      await session.fit({ epochs: 1 });
      await session.save(store);
      return valuesOf(session.parameters());
    });
    await withSession(open(other), async (session) => {
      const before = valuesOf(session.parameters());
      const load = session.load({ store, allowMismatch: ['plugin:bilevel'] });
      await expect(load).rejects.toMatchObject({ code: 'bilevel/slots' });
      expect(firstDifference(before, valuesOf(session.parameters()))).toBeUndefined();
      expect((await session.fit({ epochs: 1 })).status).toBe('completed');
    });
    await withSession(open(written), async (session) => {
      await session.load({ store });
      expect(firstDifference(saved, valuesOf(session.parameters()))).toBeUndefined();
    });
  });

  test('from before the first held-out batch starts the held-out data anew', async () => {
    const held = () => tinySource({ examples: 20, seed: 3, batchSize: 4 });
    const store = memoryStore();
    await withSession(open(learned({ 'outer-data': held })), async (session) => {
      await session.save(store);
      const twice: ReturnType<typeof valuesOf>[] = [];
      for (let i = 0; i < 2; i += 1) {
        await session.step(rawOf(7));
        await session.step(rawOf(8));
        twice.push(valuesOf(session.parameters()));
        await session.load({ store });
      }
      expect(firstDifference(twice[0]!, twice[1]!)).toBeUndefined();
    });
  });

  test('is not written where it cannot hold the state of the outer optimizer', async () => {
    const foreign = () => fromTfOptimizer(() => tf.train.adagrad(0.1));
    await withSession(open(learned({ 'outer-optimizer': foreign })), async (session) => {
      await session.fit({ epochs: 1 });
      await expect(session.save(memoryStore())).rejects.toMatchObject({
        code: 'bilevel/outer-optimizer',
        place: { plugin: 'bilevel' },
      });
    });
  });
});

function rawOf(seed: number) {
  const { x, y } = tinyData({ examples: 6, seed });
  return { x: tf.tensor(x.data, x.shape as number[]), y: tf.tensor(y.data, [6], 'int32') };
}

describe('in a run', () => {
  const warningsOf = (preset: Preset, more: Partial<SessionConfig> = {}) =>
    withSession(open(preset, more), async (session) => {
      const warnings: string[] = [];
      session.telemetry.on('warning', ({ message }) => warnings.push(message));
      await session.fit({ epochs: 3 });
      return warnings;
    });

  test('epochs of one batch, in which no outer step ever comes, are told once', async () => {
    const whole = arraySource({ ...tinyData({ examples: 8 }), batchSize: 8 });
    const warnings = await warningsOf(learned({}), { train: whole });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/no next batch.*'outer-data'/);
    expect(await warningsOf(learned({}))).toEqual([]);
  });

  test.each([
    ['outer-data', /Bind a Source.*arraySource/],
    ['outer-optimizer', /Bind an optimizer.*adam/],
    ['inner-optimizer', /Bind an optimizer.*sgd/],
    ['hypergradient', /Bind a function that returns an estimator.*\(\) => unroll/],
  ])("what will not do as '%s' is refused before the first step", (token, message) =>
    withSession(open(learned({ [token]: () => 7 })), async (session) => {
      const fit = session.fit({ epochs: 1 });
      await expect(fit).rejects.toThrow(message);
      await expect(fit).rejects.toMatchObject({
        code: 'bilevel/binding',
        place: { plugin: 'bilevel', hook: 'beforeStep' },
      });
      expect(session.clock.step).toBe(0);
    }),
  );

  test.each<[string, Estimator]>([
    ['returns a promise', (async () => {}) as never],
    ['returns another estimator', (() => unroll) as never],
    ['returns nothing', (() => undefined) as never],
  ])('an estimator that %s is refused by name', (_, estimator) =>
    withSession(open(learned({ hypergradient: () => estimator })), async (session) => {
      const fit = session.fit({ epochs: 1 });
      await expect(fit).rejects.toThrow(/'hypergradient' returned.*no.*\(\) => unroll/s);
      await expect(fit).rejects.toMatchObject({ code: 'bilevel/binding' });
    }),
  );

  test('an estimator that finds no gradient at all counts as one that finds zeros', async () => {
    const nothing = (): Estimator => () => ({ outer: tf.scalar(1), gradients: {} });
    const warnings = await warningsOf(learned({ hypergradient: nothing }), {
      train: tinySource({ examples: 8, batchSize: 4 }),
    });
    expect(warnings).toHaveLength(3);
    expect(warnings[0]).toMatch(/step 0 is zero/);
  });
});

test.each([0, -1, 1.5, NaN])('%d inner steps are refused', (steps) => {
  for (const estimate of [jvp, unroll]) {
    expect(() => estimate(quadratic({ steps }))).toThrow(/whole number.*bilevel\/steps/s);
  }
});
