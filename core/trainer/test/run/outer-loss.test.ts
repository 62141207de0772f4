import { HOOKS, memoryStore, tfjs } from '@espalier/core';
import type { HookName, Plugin, RawBatch, Session, SessionConfig } from '@espalier/core';
import {
  firstDifference,
  onBackend,
  tensorsLeakedBy,
  tinyData,
  tinyNoisyMlp,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

const RATE = 0.1;
const noisy = (more: Partial<SessionConfig> = {}) =>
  open({ model: tinyNoisyMlp, optimizer: tfjs.sgd({ learningRate: RATE }), ...more });
const makeBatch = (seed: number, examples = 4) => {
  const { x, y } = tinyData({ examples, seed });
  return { x: tf.tensor2d(x.data, [examples, 6]), y: tf.tensor1d(y.data, 'int32') };
};
let optimizer: tf.SGDOptimizer;
const minimize = (loss: () => tf.Scalar) => optimizer.minimize(loss);

beforeAll(async () => {
  await onBackend('cpu');
  optimizer = tf.train.sgd(RATE);
});

/** Targets that are softer in every step. */
const smoothing = () =>
  plugin('smoothing', {
    apply(ctx) {
      ctx.hooks.targets.tap(({ logits }) => {
        const softness = 0.1 / (1 + ctx.clock.step);
        const hard = tf.oneHot(logits as tf.Tensor1D, 3);
        return { logits: tf.add(tf.mul(hard, 1 - softness), softness / 3) };
      });
    },
  });

/** A network of a plugin's own; its term trains it alone, another one the model alone. */
const ownNetwork = () =>
  plugin('own', {
    apply(ctx) {
      const network = ctx.addNetwork(() =>
        tfl.sequential({ layers: [tfl.layers.dense({ name: 'own', units: 3, inputShape: [6] })] }),
      );
      ctx.hooks.loss.tap(({ batch, outputs, terms, mean }) => {
        const [made] = Object.values(
          network.execute({ own_input: Object.values(batch.inputs)[0]! }),
        );
        const distance = () =>
          mean(tf.sum(tf.square(tf.sub(made!, outputs['logits']!)), 1) as tf.Tensor1D);
        terms.add('follow', distance(), { groups: ['own'] });
        terms.add('lead', distance(), { groups: ['model'], weight: 0.3 });
      });
    },
  });

const regularized = () =>
  tfl.sequential({
    layers: [
      tfl.layers.dense({
        ...{ name: 'hidden', units: 8, inputShape: [6] },
        kernelRegularizer: tfl.regularizers.l2({ l2: 0.1 }),
      }),
      tfl.layers.batchNormalization({ name: 'norm' }),
      tfl.layers.dense({ name: 'logits', units: 3 }),
    ],
  });

/** An inner model that is frozen as a whole: its variables do not know it. */
const frozenInside = () => {
  const inner = tfl.sequential({ layers: [tfl.layers.dense({ units: 4, inputShape: [6] })] });
  inner.trainable = false;
  return tfl.sequential({ layers: [inner, tfl.layers.dense({ name: 'logits', units: 3 })] });
};

describe('minimize with sgd is a step with sgd, to the bit', () => {
  const cases: Readonly<Record<string, () => Partial<SessionConfig>>> = {
    'batch normalization, dropout': () => ({}),
    'soft targets that follow the clock': () => ({ plugins: [smoothing()] }),
    regularizers: () => ({ model: regularized }),
    'terms for some groups': () => ({ plugins: [ownNetwork()] }),
    'a frozen part': () => ({ model: frozenInside }),
    'what trains, by path': () => ({ trainable: (path) => path.startsWith('logits/') }),
  };
  const trained = (
    config: Partial<SessionConfig>,
    step: (s: Session, batch: RawBatch) => unknown,
  ) =>
    withSession(noisy(config), async (session) => {
      for (let i = 0; i < 3; i++) {
        const batch: RawBatch = { ...makeBatch(i), weights: tf.tensor1d([1, 0, 2, 1]) };
        await step(session, batch);
        tf.dispose(batch as never);
      }
      return { values: valuesOf(session.parameters()), clock: session.clock };
    });

  test.each(Object.entries(cases))('%s', async (_, config) => {
    const stepped = await trained(config(), (session, batch) => session.step(batch));
    const own = await trained(config(), (session, batch) => minimize(() => session.loss(batch)));
    expect(firstDifference(own.values, stepped.values)).toBeUndefined();
    expect(own.clock).toEqual(stepped.clock);
  });
});

const withBatches = async <T>(fn: (...batches: readonly RawBatch[]) => T | Promise<T>) => {
  const batches = [0, 1, 2].map((seed) => makeBatch(seed));
  try {
    return await fn(...batches);
  } finally {
    tf.dispose(batches);
  }
};

/** The loss as a number, and as one that an optimizer may use. */
const read = (loss: tf.Scalar) => tf.tidy(() => loss.dataSync()[0]!);
const differentiate = (loss: () => tf.Scalar) => {
  const { value, grads } = tf.variableGrads(loss);
  tf.dispose(grads);
  return read(value);
};

describe('the clock', () => {
  test('each differentiation is a step, each call in it a micro-batch; draws differ', () =>
    withSession(noisy(), (session) =>
      withBatches((one) => {
        const losses: number[] = [];
        const call = () => {
          const loss = session.loss(one!);
          losses.push(loss.dataSync()[0]!);
          return loss;
        };
        minimize(() => tf.add(call(), call()));
        expect(session.clock).toMatchObject({ step: 1, microSteps: 2, batchesInEpoch: 0 });
        differentiate(call);
        expect(session.clock).toMatchObject({ step: 2, microSteps: 3 });
        expect(new Set(losses).size).toBe(3);
      }),
    ));

  test('both calls of one differentiation see its step', async () => {
    const steps: unknown[] = [];
    const seeing = plugin('seeing', {
      apply: (ctx) =>
        ctx.hooks.loss.tap(({ clock, nested }) => void steps.push([clock.step, nested])),
    });
    await withSession(noisy({ plugins: [seeing] }), (session) =>
      withBatches((one, two) => {
        for (let i = 0; i < 2; i++) minimize(() => tf.add(session.loss(one!), session.loss(two!)));
      }),
    );
    expect(steps).toEqual([0, 0, 1, 1].map((step) => [step, false]));
  });

  test('outside of a differentiation it is a value: nothing moves', () =>
    withSession(noisy(), (session) =>
      withBatches((one) => {
        const before = valuesOf(session.parameters());
        const value = read(session.loss(one!));
        expect(read(session.loss(one!))).toBe(value);
        expect(session.clock).toMatchObject({ step: 0, microSteps: 0 });
        expect(firstDifference(valuesOf(session.parameters()), before)).toBeUndefined();
        expect(differentiate(() => session.loss(one!))).toBe(value);
      }),
    ));

  test('a call within another evaluation is a value too', async () => {
    let session!: Session;
    const again = plugin('again', {
      apply: (ctx) =>
        ctx.hooks.loss.tap(({ nested, terms }) => {
          if (!nested) terms.add('again', session.loss({ ...makeBatch(1) }));
        }),
    });
    await withSession(noisy({ plugins: [again] }), async (opened) => {
      session = opened;
      await withBatches((one) => minimize(() => session.loss(one!)));
      expect(session.clock).toMatchObject({ step: 1, microSteps: 1 });
    });
  });

  test('a loss that failed is no step', () =>
    withSession(noisy(), (session) =>
      withBatches((one) => {
        const wrong = { x: one!.x, y: tf.tensor1d([0, 1, 2, 3], 'int32') };
        expect(() => minimize(() => tf.add(session.loss(one!), session.loss(wrong)))).toThrow(
          /targets\/range/,
        );
        expect(session.clock.step).toBe(0);
        minimize(() => session.loss(one!));
        expect(session.clock.step).toBe(1);
      }),
    ));
});

test('it is resumed bit for bit, and leaves no tensor', async () => {
  const step = (session: Session) =>
    withBatches((one, two) => minimize(() => tf.add(session.loss(one!), session.loss(two!))));
  const values = await withSession(noisy({ plugins: [smoothing()] }), async (session) => {
    await step(session);
    expect(await tensorsLeakedBy(() => step(session))).toBe(0);
    return valuesOf(session.parameters());
  });
  const store = memoryStore();
  await withSession(noisy({ plugins: [smoothing()] }), async (session) => {
    await step(session);
    await session.save(store);
  });
  await withSession(noisy({ plugins: [smoothing()] }), async (session) => {
    await session.load({ store });
    await step(session);
    expect(firstDifference(valuesOf(session.parameters()), values)).toBeUndefined();
  });
});

test('what the optimizer sets is no foreign value; what others set is', () =>
  withSession(noisy(), (session) =>
    withBatches(async (one) => {
      const warnings: string[] = [];
      session.telemetry.on('warning', ({ message }) => warnings.push(message));
      for (let i = 0; i < 2; i++) minimize(() => session.loss(one!));
      session.inspect();
      expect(warnings).toEqual([]);
      session.model.setWeights(session.model.getWeights().map((w) => tf.add(w, 1)));
      session.inspect();
      expect(warnings).toEqual([expect.stringContaining('outside of the session')]);
    }),
  ));

describe('refused', () => {
  const tapping = (hook: HookName): Plugin =>
    plugin('tapping', {
      apply(ctx) {
        const point = ctx.hooks[hook] as { tap(fn: (argument: never) => unknown): void };
        point.tap((argument) => argument);
      },
    });
  const fired = ['targets', 'loss', 'evaluate', 'transform', 'structureChange', 'finish'];

  test.each(Object.keys(HOOKS) as HookName[])('a tap of %s, where it never fires', (hook) =>
    withSession(noisy({ plugins: [tapping(hook)] }), (session) =>
      withBatches(async (one) => {
        if (fired.includes(hook)) {
          session.checkLoss();
          return;
        }
        for (const act of [() => session.checkLoss(), () => session.loss(one!)]) {
          const { code, message } = await refusal(act);
          expect(code).toBe('session/unfired');
          expect(message).toContain(`'tapping' (${hook})`);
        }
      }),
    ),
  );

  test('a plugin that scales updates', () =>
    withSession(
      noisy({ plugins: [plugin('slowing', { effects: { updates: 'modify' } })] }),
      async (session) => {
        const { message } = await refusal(() => session.checkLoss());
        expect(message).toContain("'slowing' (scales updates)");
      },
    ));

  test('a constraint, where it would not act', () => {
    const model = () =>
      tfl.sequential({
        layers: [
          tfl.layers.dense({
            ...{ name: 'logits', units: 3, inputShape: [6] },
            kernelConstraint: tfl.constraints.nonNeg(),
          }),
        ],
      });
    return withBatches(async (one) => {
      await withSession(noisy({ model }), async (session) => {
        const { code } = await refusal(() => session.loss(one!));
        expect(code).toBe('session/constraints');
      });
      await withSession(noisy({ model, semantics: 'tfjs' }), (session) => {
        minimize(() => session.loss(one!));
        expect(session.clock.step).toBe(1);
        return Promise.resolve();
      });
    });
  });

  test('data, wrong weights, a call during a step and after the end', async () => {
    const session = await noisy();
    await withBatches(async (one) => {
      const codeOf = async (act: () => unknown) => (await refusal(act)).code;
      expect(await codeOf(() => session.loss(one!.x as never))).toBe('session/data');
      const negative = { ...one!, weights: tf.tensor1d([1, -1, 1, 1]) };
      expect(await codeOf(() => session.loss(negative))).toBe('batch/weights');
      const step = session.step(one!);
      expect(await codeOf(() => session.loss(one!))).toBe('session/busy');
      await step;
      await session.dispose();
      expect(await codeOf(() => session.loss(one!))).toBe('session/disposed');
    });
  });
});
