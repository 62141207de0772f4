import { createSession, crossEntropy, memoryStore, sgd } from '@espalier/core';
import type {
  NamedTensors,
  Preset,
  Session,
  SessionConfig,
  Source,
  GradientTransform,
} from '@espalier/core';
import {
  bilevel,
  BILEVEL,
  finiteDifference,
  runProblem,
  unroll,
  verify,
} from '@espalier/plugin-bilevel';
import type { BilevelProgress, Estimator } from '@espalier/plugin-bilevel';
import {
  firstDifference,
  onBackend,
  tinyData,
  tinyNoisyMlp,
  tinySource,
  trainInOwnLoop,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { observer } from './observer.js';
import { softLabels } from './soft-labels.js';

/** Options of `bilevel`, and components for its tokens. */
interface Variant {
  readonly options?: Record<string, unknown>;
  readonly bind?: Readonly<Record<string, () => unknown>>;
}

const variables = ['soft-labels:*'];

function preset({ options = {}, bind = {} }: Variant = {}): Preset {
  return {
    plugins: {
      'soft-labels': { use: softLabels, options: { layer: 'hidden', features: [8], weight: 2 } },
      bilevel: {
        use: bilevel,
        options: { variables, ...options },
        bind: Object.fromEntries(Object.entries(bind).map(([token, use]) => [token, { use }])),
      },
      observer: { use: observer },
    },
  };
}

const open = (variant: Variant = {}, more: Partial<SessionConfig> = {}) =>
  createSession({
    model: tinyNoisyMlp,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }),
    train: tinySource({ examples: 20 }),
    preset: preset(variant),
    seed: 5,
    ...more,
  });

const outerPart = (session: Session) =>
  Object.fromEntries(
    Object.entries(session.parameters({ trainable: true })).filter(([path]) =>
      path.startsWith('soft-labels:'),
    ),
  );

/** What the plugin has counted when each step was over. */
async function progressOf(session: Session, epochs = 1): Promise<readonly BilevelProgress[]> {
  const seen: BilevelProgress[] = [];
  observer.onStep = (ctx) => void seen.push({ ...ctx.get(BILEVEL) });
  await session.fit({ epochs });
  observer.onStep = undefined;
  return seen;
}

beforeAll(() => onBackend('cpu'));

describe('outer steps', () => {
  test('come before every step that has a next batch', () =>
    withSession(open(), async (session) => {
      const seen = await progressOf(session);
      expect(seen.map(({ steps }) => steps)).toEqual([1, 2, 3, 4, 4]);
      seen.forEach(({ outer }) => expect(outer).toBeGreaterThan(0));
    }));

  test('come at intervals after the warm-up', () =>
    withSession(open({ options: { interval: 2, warmup: 1 } }), async (session) => {
      const seen = await progressOf(session, 2);
      const steps = seen.map((each) => each.steps);
      expect(steps).toEqual([0, 1, 1, 2, 2, 3, 3, 4, 4, 4]);
    }));

  test('that are due in the last step of an epoch come in the next one', () =>
    withSession(open({ options: { interval: 6, warmup: 4 } }), async (session) => {
      const steps = (await progressOf(session, 3)).map((each) => each.steps);
      expect(steps).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
    }));

  test('come in a loop of one’s own as in a fit, where its steps get the next batch', async () => {
    const train = tinySource({ examples: 12 });
    const valuesAfter = (fitting: (session: Session) => Promise<unknown>) =>
      withSession(open({ options: { interval: 2 } }, { train, seed: 0 }), async (session) => {
        await fitting(session);
        return valuesOf(session.parameters());
      });
    const fitted = await valuesAfter((session) => session.fit({ epochs: 2 }));
    const own = await valuesAfter((session) => trainInOwnLoop(session, train, 2));
    expect(firstDifference(fitted, own)).toBeUndefined();
  });

  test('move the outer variables alone, which the loss itself does not', async () => {
    const run = (options: Record<string, unknown>) =>
      withSession(open({ options }), async (session) => {
        const before = valuesOf(outerPart(session));
        const thetaBefore = valuesOf(session.parameters());
        await session.fit({ epochs: 1 });
        expect(firstDifference(thetaBefore, valuesOf(session.parameters()))).toBeDefined();
        return firstDifference(before, valuesOf(outerPart(session)));
      });
    expect(await run({ warmup: 1000 })).toBeUndefined();
    expect(await run({})).toMatch(/^soft-labels:/);
  });

  test('take held-out data where there are some, epoch after epoch', () =>
    withSession(
      open({ bind: { 'outer-data': () => tinySource({ examples: 7, seed: 3 }) } }),
      async (session) => {
        const seen = await progressOf(session, 2);
        expect(seen.at(-1)!.steps).toBe(10);
      },
    ));

  test('an empty held-out source is refused', async () => {
    const empty: Source = {
      fingerprint: () => Promise.resolve('empty'),
      async *iterate() {},
    };
    await withSession(open({ bind: { 'outer-data': () => empty } }), async (session) => {
      await expect(session.fit({ epochs: 1 })).rejects.toMatchObject({
        code: 'bilevel/outer-data',
        place: { plugin: 'bilevel', hook: 'beforeStep' },
      });
    });
  });

  test('lower the outer loss on fixed batches', async () => {
    const optimizer = sgd({ learningRate: 0.3 });
    const bind = {
      'outer-optimizer': () => sgd({ learningRate: 0.5 }),
      'inner-optimizer': () => optimizer,
    };
    await withSession(open({ bind, options: { estimator: 'unroll' } }), async (session) => {
      const [microBatches, outer] = [[await batchOf(session, 0)], await batchOf(session, 1)];
      const problem = () =>
        runProblem(session, { variables, microBatches, outer, loss: ['task/*'], optimizer });
      const values: number[] = [];
      for (let i = 0; i < 6; i += 1) {
        const { gradients, outer: loss } = unroll(problem());
        values.push(loss.dataSync()[0]!);
        const phi = outerPart(session);
        for (const [path, g] of Object.entries(gradients)) {
          const moved = tf.sub(phi[path]!, g);
          (phi[path] as tf.Variable).assign(moved);
          moved.dispose();
        }
        tf.dispose([loss, ...Object.values(gradients)]);
      }
      values.slice(1).forEach((value, i) => expect(value).toBeLessThan(values[i]!));
    });
  });
});

async function batchOf(session: Session, seed: number) {
  const { x, y } = tinyData({ examples: 6, seed });
  const raw = { x: tf.tensor(x.data, x.shape as number[]), y: tf.tensor(y.data, [6], 'int32') };
  return session.batch(raw, `batch ${seed}`);
}

describe('components', () => {
  test('another estimator by its token', async () => {
    const calls: number[] = [];
    const counting: Estimator = (problem) => {
      calls.push(Object.keys(problem.phi).length);
      return finiteDifference(problem);
    };
    await withSession(open({ bind: { hypergradient: () => counting } }), async (session) => {
      await session.fit({ epochs: 1 });
    });
    expect(calls).toEqual([6, 6, 6, 6]);
  });

  test('an inner optimizer that has the outer variables in it, in runs and against brute force', async () => {
    const learnedRate = (phi: NamedTensors): GradientTransform => {
      const rate = tf.sigmoid(tf.mean(phi['soft-labels:soft/kernel']!));
      return {
        name: 'learned-rate',
        init: () => ({}),
        update: (gradients, slots) => ({
          updates: Object.fromEntries(
            Object.entries(gradients).map(([path, g]) => [path, tf.neg(tf.mul(g, rate))]),
          ),
          state: slots,
        }),
      };
    };
    const bind = { 'inner-optimizer': () => learnedRate };
    const options = { estimator: 'first-order', patience: 1 };
    await withSession(open({ bind, options }), async (session) => {
      const before = valuesOf(outerPart(session));
      await session.fit({ epochs: 1 });
      const moved = firstDifference(before, valuesOf(outerPart(session)));
      expect(moved).toMatch('soft-labels:soft/kernel');

      const [microBatches, outer] = [[await batchOf(session, 0)], await batchOf(session, 1)];
      const problem = { variables, microBatches, outer, loss: ['task/*'], optimizer: learnedRate };
      const { results } = await verify(runProblem(session, problem), {
        directions: 12,
        runs: 1,
      });
      const cosine = Object.fromEntries(results.map((each) => [each.estimator, each.cosine]));
      expect(cosine['jvp']).toBeGreaterThan(0.999);
      expect(cosine['unroll']).toBeGreaterThan(0.999);
      expect(cosine['first-order']).toBeLessThan(0.999);
    });
  });

  test('the estimators agree in a run', async () => {
    const trained = async (estimator: string) =>
      withSession(open({ options: { estimator } }), async (session) => {
        await session.fit({ epochs: 1 });
        return [...valuesOf(outerPart(session)).values()].flatMap((each) => Array.from(each));
      });
    const exact = await trained('unroll');
    for (const estimator of ['jvp', 'finite-difference']) {
      const gap = (await trained(estimator)).map((each, i) => Math.abs(each - exact[i]!));
      expect(Math.max(...gap)).toBeLessThan(2e-4);
    }
  });
});

describe('a hypergradient that is not finite', () => {
  const broken: (from: number) => () => Estimator = (from) => () => {
    let calls = 0;
    return (problem) => {
      const found = finiteDifference(problem);
      calls += 1;
      if (calls < from) return found;
      const [path, gradient] = Object.entries(found.gradients)[0]!;
      const nan = tf.mul(gradient, NaN);
      gradient.dispose();
      return { ...found, gradients: { ...found.gradients, [path]: nan } };
    };
  };

  test('is skipped, counted and told; the run ends at the limit', () =>
    withSession(
      open({ bind: { hypergradient: broken(2) }, options: { patience: 3 } }),
      async (session) => {
        const warnings: string[] = [];
        session.telemetry.on('warning', ({ message }) => warnings.push(message));
        const before = valuesOf(outerPart(session));
        await expect(session.fit({ epochs: 1 })).rejects.toThrow(
          /plugin bilevel.*step 3 is not finite, as were the 2 before.*innerLearningRate/s,
        );
        expect(warnings).toHaveLength(2);
        expect(warnings[0]).toMatch(/step 1 is not finite.*1 in a row.*ends at 3/);
        expect(firstDifference(before, valuesOf(outerPart(session)))).toBeDefined();
        for (const values of valuesOf(session.parameters()).values()) {
          values.forEach((value) => expect(value).not.toBeNaN());
        }
      },
    ));
});

test('hypergradients that stay zero end the run, which says what to check', () => {
  const zero = (): Estimator => (problem) => {
    const { gradients, outer } = finiteDifference(problem);
    const nothing = Object.entries(gradients).map(([path, each]) => [path, tf.zerosLike(each)]);
    tf.dispose(Object.values(gradients));
    return { outer, gradients: Object.fromEntries(nothing) as typeof gradients };
  };
  const variant = { bind: { hypergradient: zero }, options: { patience: 2 } };
  return withSession(open(variant), async (session) => {
    await expect(session.fit({ epochs: 1 })).rejects.toThrow(/step 1 is zero.*depends on/s);
  });
});

describe('resume', () => {
  const held = { 'outer-data': () => tinySource({ examples: 11, seed: 3 }) };
  test.each<[string, Variant]>([
    ['on the next batch', { options: { interval: 2 } }],
    ['on held-out data', { bind: held }],
  ])('is bit-identical in the middle of an epoch, %s', async (_, variant) => {
    const store = memoryStore();
    const checkpoint = { store, everySteps: 3 };
    const whole = await withSession(open(variant), async (session) => {
      await session.fit({ untilEpoch: 2 });
      return valuesOf(session.parameters());
    });
    const stop = new AbortController();
    await withSession(open(variant, { checkpoint }), async (session) => {
      session.telemetry.on('checkpoint', ({ step }) => step === 3 && stop.abort());
      await session.fit({ untilEpoch: 2, signal: stop.signal });
    });
    await withSession(open(variant, { checkpoint }), async (session) => {
      await session.load();
      expect(session.clock).toMatchObject({ step: 3, batchesInEpoch: 3 });
      await session.fit({ untilEpoch: 2 });
      expect(firstDifference(whole, valuesOf(session.parameters()))).toBeUndefined();
    });
  });
});

describe('resume between epochs, where an outer step is due still', () => {
  test.each<[string, Partial<SessionConfig>, number]>([
    ['one batch a step', {}, 5],
    ['two batches a step', { accumulate: 2 }, 3],
  ])('%s, is bit-identical', async (_, more, perEpoch) => {
    const options = { interval: perEpoch, warmup: perEpoch - 1 };
    const whole = await withSession(open({ options }, more), async (session) => {
      const seen = await progressOf(session, 2);
      expect(seen.map(({ steps }) => steps)).toEqual(
        Array.from({ length: 2 * perEpoch }, (_step, i) => (i < perEpoch ? 0 : 1)),
      );
      return valuesOf(session.parameters());
    });
    // Saved before the epoch is closed, and after.
    for (const everySteps of [perEpoch, undefined]) {
      const checkpoint = { store: memoryStore(), ...(everySteps && { everySteps }) };
      const stop = new AbortController();
      await withSession(open({ options }, { ...more, checkpoint }), async (session) => {
        if (everySteps) session.telemetry.on('checkpoint', () => stop.abort());
        await session.fit({ untilEpoch: 1, signal: stop.signal });
        await session.save();
      });
      await withSession(open({ options }, { ...more, checkpoint }), async (session) => {
        await session.load();
        expect(session.clock.step).toBe(perEpoch);
        expect(session.clock.epoch).toBe(everySteps ? 0 : 1);
        await session.fit({ untilEpoch: 2 });
        expect(firstDifference(whole, valuesOf(session.parameters()))).toBeUndefined();
      });
    }
  });
});

describe('bad input', () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    [
      'variables that match nothing',
      { variables: ['nothing:*'] },
      /no trainable.*nothing:\*.*soft-labels:hidden\/kernel/s,
    ],
    ['variables that match everything', { variables: ['*'] }, /nothing is left for the inner loss/],
    ['an outer loss without terms', { loss: ['tusk/*'] }, /no term.*tusk.*task\/cross-entropy/s],
    ['an estimator that sees nothing', { estimator: 'first-order' }, /first-order.*jvp/s],
  ])('%s: told in the first outer step', async (_, options, message) => {
    await withSession(open({ options }), async (session) => {
      await expect(session.fit({ epochs: 1 })).rejects.toThrow(message);
      await expect(session.fit({ epochs: 1 })).rejects.toThrow('plugin bilevel');
    });
  });

  test.each([
    [{ variables, innerLearningRate: 0 }, /innerLearningRate/],
    [{ variables: [] }, /variables/],
    [{}, /variables/],
    [{ variables, estimator: 'newton' }, /estimator/],
    [{ variables, interval: 0 }, /interval/],
  ])('refuses %j', (options, message) => {
    expect(() => bilevel(options as never)).toThrow(message);
  });
});
