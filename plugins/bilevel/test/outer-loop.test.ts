import {
  adam,
  createSession,
  crossEntropy,
  definePlugin,
  EspalierError,
  fromTfOptimizer,
  memoryStore,
  OUTER_START,
  sgd,
} from '@espalier/core';
import type {
  AnyPluginFactory,
  Effects,
  GradientTransform,
  OwnOptimizer,
  PluginContext,
  Preset,
  Session,
  SessionConfig,
} from '@espalier/core';
import {
  bilevel,
  BILEVEL,
  finiteDifference,
  jvp,
  runProblem,
  unroll,
  verify,
} from '@espalier/plugin-bilevel';
import type { BilevelProblem, Estimator } from '@espalier/plugin-bilevel';
import { exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import { labelGenerator } from '@espalier/plugin-soft-targets';
import {
  firstDifference,
  onBackend,
  tensorsLeakedBy,
  tinyData,
  tinyMlp,
  tinyNoisyMlp,
  tinySource,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { softLabels } from './soft-labels.js';

beforeAll(() => onBackend('cpu'));

const variables = ['soft-labels:*'];

/** A plugin in a few words. */
function plugin(
  id: string,
  apply: (ctx: PluginContext) => void,
  effects: Effects = {},
): AnyPluginFactory {
  const options = z.strictObject({});
  const definition = { id, version: '1.0.0', options, stateless: true, effects, apply };
  return definePlugin(definition as never) as AnyPluginFactory;
}

/** Has an optimizer for the network of another plugin. */
const owner = (transform: GradientTransform, use?: (own: OwnOptimizer) => void) =>
  plugin(
    'owner',
    (ctx) => {
      const own = ctx.optimizeWith(variables, transform);
      ctx.hooks.afterStep.tap(() => use?.(own));
    },
    { 'weights:soft-labels:*': 'modify' },
  );

interface Variant extends Partial<SessionConfig> {
  readonly options?: Record<string, unknown>;
  readonly bind?: Readonly<Record<string, () => unknown>>;
  readonly others?: readonly AnyPluginFactory[];
}

function open({ options = {}, bind = {}, others = [], ...more }: Variant = {}): Promise<Session> {
  const preset: Preset = {
    plugins: {
      'soft-labels': { use: softLabels, options: { layer: 'hidden', features: [8], weight: 2 } },
      ...Object.fromEntries(others.map((use) => [use.definition.id, { use }])),
      bilevel: {
        use: bilevel,
        options: { variables, ...options },
        bind: Object.fromEntries(Object.entries(bind).map(([token, use]) => [token, { use }])),
      },
    },
  };
  return createSession({
    model: tinyNoisyMlp,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }),
    train: tinySource({ examples: 20 }),
    seed: 5,
    preset,
    ...more,
  });
}

const trained = (variant: Variant, epochs = 2) =>
  withSession(open(variant), async (session) => {
    const { history } = await session.fit({ epochs });
    return { values: valuesOf(session.parameters()), history };
  });

async function refusal(work: () => unknown): Promise<EspalierError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof EspalierError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

const refusedFit = (variant: Variant) =>
  withSession(open(variant), async (session) => {
    const error = await refusal(() => session.fit({ epochs: 1 }));
    expect(session.clock.step).toBe(0);
    return error;
  });

/** Calls `see` with the problem of each outer step. */
const seeing =
  (see: (problem: BilevelProblem) => void): (() => Estimator) =>
  () =>
  (problem) => {
    see(problem);
    return jvp(problem);
  };

describe('variables with an optimizer of their own', () => {
  test.each([{}, { clip: 0.01 }])('are moved by it, %j', async (options) => {
    let steps = 0;
    const own = owner(adam({ learningRate: 0.01 }), (found) => (steps = found.steps));
    const [through, bound] = [
      await trained({ options, others: [own] }, 1),
      await trained(
        { options, bind: { 'outer-optimizer': () => adam({ learningRate: 0.01 }) } },
        1,
      ),
    ];
    expect(firstDifference(through.values, bound.values)).toBeUndefined();
    expect(steps).toBe(4);
  });

  test('are resumed to the bit', async () => {
    const others = () => [owner(adam({ learningRate: 0.01 }))];
    const whole = await trained({ others: others() });
    const checkpoint = { store: memoryStore(), everySteps: 3 };
    const stop = new AbortController();
    await withSession(open({ others: others(), checkpoint }), async (session) => {
      session.telemetry.on('checkpoint', ({ step }) => step === 3 && stop.abort());
      await session.fit({ epochs: 2, signal: stop.signal });
    });
    await withSession(open({ others: others(), checkpoint }), async (session) => {
      await session.load();
      const { history } = await session.fit({ untilEpoch: 2 });
      expect(firstDifference(whole.values, valuesOf(session.parameters()))).toBeUndefined();
      expect(history).toEqual(whole.history);
    });
  });

  test.each<[string, Variant]>([
    ['learningRate', { options: { learningRate: 0.1 }, others: [owner(adam())] }],
    ['a binding', { bind: { 'outer-optimizer': () => adam() }, others: [owner(adam())] }],
    ['both', { options: { learningRate: 0.1 }, bind: { 'outer-optimizer': () => adam() } }],
  ])('take no other one: %s', async (_, variant) => {
    const { code, message } = await refusedFit(variant);
    expect(code).toBe('bilevel/two-optimizers');
    expect(message).toMatch(/several optimizers: .*(plugin 'owner'|outer-optimizer).*Keep one/s);
  });
});

describe('the outer loss', () => {
  const problemOf = async (session: Session, loss: readonly string[] | Record<string, number>) => {
    const batch = async (seed: number) => {
      const { x, y } = tinyData({ examples: 6, seed });
      const raw = { x: tf.tensor(x.data, x.shape as number[]), y: tf.tensor(y.data, [6], 'int32') };
      return session.batch(raw, `batch ${seed}`);
    };
    return runProblem(session, {
      ...{ variables: ['*generator:*', 'soft-labels:*'], loss },
      microBatches: [await batch(0)],
      outer: await batch(1),
      optimizer: sgd({ learningRate: 0.3 }),
    });
  };
  const outerOf = async (session: Session, loss: readonly string[] | Record<string, number>) => {
    const problem = await problemOf(session, loss);
    return tf.tidy(() => problem.outer(problem.theta, problem.phi).dataSync()[0]!);
  };

  test('counts unweighted terms, at weights of its own', () =>
    withSession(open(), async (session) => {
      const [task, soft, both] = [
        await outerOf(session, ['task/*']),
        await outerOf(session, ['soft-labels/soft']),
        await outerOf(session, { '*': 0.5, 'task/*': 3 }),
      ];
      expect(both).toBeCloseTo(3 * task + 0.5 * soft, 4);
    }));

  test('does not change with α of exitDistillation, except by θ′', async () => {
    const exits = (alpha: number) =>
      createSession({
        ...{ model: tinyMlp, loss: crossEntropy(), optimizer: sgd({ learningRate: 0.1 }) },
        ...{ train: tinySource({ examples: 20 }), seed: 5 },
        plugins: [multiExit({ at: ['hidden'] }), labelGenerator(), exitDistillation({ alpha })],
      });
    const loss = ['task/*', 'multi-exit/*'];
    const found = [0.1, 0.5].map((alpha) =>
      withSession(exits(alpha), async (session) => {
        const problem = await problemOf(session, loss);
        const hypergradient = jvp(problem);
        const [after] = hypergradient.outer.dataSync();
        tf.dispose([hypergradient.outer, hypergradient.gradients]);
        return { here: await outerOf(session, loss), after: after! };
      }),
    );
    const [low, high] = await Promise.all(found);
    expect(low!.here).toBe(high!.here);
    expect(low!.after).not.toBe(high!.after);
  });

  test.each<[string, Variant['options'], RegExp]>([
    ['one of several patterns', { loss: ['task/*', 'exits/*'] }, /no term.*'exits\/\*'/],
    [
      'a weight',
      { loss: { 'task/*': 1, 'soft-labels/hard': 2 } },
      /'soft-labels\/hard'.*terms are/,
    ],
  ])('refuses before the first step %s that fits no term', async (_, options, message) => {
    const error = await refusedFit({ options: { warmup: 1000, ...options } });
    expect(error.code).toBe('bilevel/loss');
    expect(error.message).toMatch(message);
  });

  test.each([{}, { 'task/*': 0 }, { 'task/*': -1 }, []])('refuses %j', (loss) => {
    expect(() => bilevel({ variables, loss } as never)).toThrow(/option 'loss/);
  });
});

describe('the rate of the virtual step', () => {
  test('is the run’s at that step, with what plugins scale updates by', async () => {
    const rates: (number | undefined)[] = [];
    const hypergradient = seeing(({ optimizer, theta }) => {
      const { learningRate } = optimizer as GradientTransform;
      rates.push(...new Set(Object.keys(theta).map((path) => learningRate!(0, path))));
    });
    const scaling = plugin(
      'scaling',
      (ctx) =>
        ctx.hooks.epochStart.tap(({ clock }) => ctx.scaleUpdates(clock.epoch === 0 ? 1 : 0.5)),
      { updates: 'modify' },
    );
    await trained({
      optimizer: sgd({ learningRate: (step) => 1 / (4 + step), momentum: 0.5 }),
      bind: { hypergradient },
      others: [scaling],
    });
    const expected = [4, 5, 6, 7, 18, 20, 22, 24].map((each) => 1 / each);
    // The first step of the second epoch makes up for the last of the first.
    rates.forEach((rate, i) => expect(rate).toBeCloseTo(expected[i]!, 7));
  });

  test('is that number where it is given one, and the default with a constant rate', async () => {
    const [followed, fixed] = [
      await trained({}, 1),
      await trained({ options: { innerLearningRate: 0.1 } }, 1),
    ];
    expect(firstDifference(followed.values, fixed.values)).toBeUndefined();
    const other = await trained({ options: { innerLearningRate: 0.3 } }, 1);
    expect(firstDifference(followed.values, other.values)).toBeDefined();
  });

  test('of 0 leaves no outer step to make', () =>
    withSession(
      open({
        optimizer: sgd({ learningRate: (step) => (step < 2 ? 0 : 0.1) }),
        options: { patience: 1 },
      }),
      async (session) => {
        const { history } = await session.fit({ epochs: 1 });
        expect(history[0]!.metrics['bilevel/outer']).toBeGreaterThan(0);
      },
    ));

  test('is refused by name where the run’s optimizer does not tell it', async () => {
    const optimizer = fromTfOptimizer(() => tf.train.sgd(0.1));
    const { code, message } = await refusedFit({ optimizer });
    expect(code).toBe('bilevel/inner-rate');
    expect(message).toMatch(/tfOptimizer.*'hidden\/kernel'.*innerLearningRate to a number/s);
    const number = await trained({ optimizer, options: { innerLearningRate: 0.1 } }, 1);
    expect(number.history).toHaveLength(1);
  });
});

describe("innerOptimizer: 'run'", () => {
  const run = { innerOptimizer: 'run' } as const;

  test.each<[string, () => GradientTransform, number]>([
    [
      'momentum and weight decay',
      () => sgd({ learningRate: 0.3, momentum: 0.9, nesterov: true, weightDecay: 0.1 }),
      0.9999,
    ],
    ['the moments of Adam', () => adam({ learningRate: 0.05, weightDecay: 0.01 }), 0.999],
  ])('is a step with the live state, as brute force has it: %s', async (_, optimizer, cosine) => {
    let live: GradientTransform | undefined;
    const looking = plugin('looking', (ctx) =>
      ctx.hooks.afterStep.tap(() => void (live = ctx.runOptimizer())),
    );
    const seen: { microBatches?: never; problem?: BilevelProblem } = {};
    const hypergradient = seeing((problem) => void (seen.problem = problem));
    await withSession(
      open({
        optimizer: optimizer(),
        options: run,
        bind: { hypergradient },
        others: [looking],
        model: tinyMlp,
      }),
      async (session) => {
        await session.fit({ epochs: 1 });
        const { x, y } = tinyData({ examples: 6, seed: 1 });
        const raw = {
          x: tf.tensor(x.data, x.shape as number[]),
          y: tf.tensor(y.data, [6], 'int32'),
        };
        const problem = runProblem(session, {
          ...{ variables, loss: ['task/*'], optimizer: live! },
          microBatches: [await session.batch(raw, 'a')],
          outer: await session.batch(raw, 'b'),
        });
        const { results, failed } = await verify(problem, {
          ...{ directions: 3, runs: 1, estimators: { unroll, jvp, finiteDifference } },
        });
        expect(failed).toEqual({});
        const found = Object.fromEntries(results.map((each) => [each.estimator, each.cosine]));
        expect(found['unroll']).toBeGreaterThan(cosine);
        expect(found['jvp']).toBeGreaterThan(cosine);
        expect(found['finiteDifference']).toBeGreaterThan(cosine);
        const same = problem.optimizer as GradientTransform;
        expect(Object.keys(same.init(problem.theta))).toEqual(Object.keys(session.optimizerState));
        expect(seen.problem).toBeDefined();
      },
    );
  });

  test('trains where units are dead from the start, without a hypergradient that is not finite', () =>
    withSession(
      open({ optimizer: adam({ learningRate: 0.05 }), options: { ...run, patience: 1 } }),
      async (session) => {
        const kernel = session.parameters()['hidden/kernel'] as tf.Variable;
        tf.tidy(() => kernel.assign(tf.zerosLike(kernel)));
        expect((await session.fit({ epochs: 2 })).status).toBe('completed');
      },
    ));

  test.each<[string, Variant, RegExp]>([
    [
      'a rate beside it',
      { options: { ...run, innerLearningRate: 0.1 } },
      /innerLearningRate is 0\.1/,
    ],
    [
      'an optimizer that a virtual step would move',
      { options: run, optimizer: fromTfOptimizer(() => tf.train.sgd(0.1)) },
      /tfOptimizer.*keeps state of its own/,
    ],
    [
      'what is bound beside it',
      { options: run, bind: { 'inner-optimizer': () => sgd({ learningRate: 1 }) } },
      /bound to 'inner-optimizer'/,
    ],
  ])('refuses %s', async (_, variant, message) => {
    const error = await refusedFit(variant);
    expect(error.code).toBe('bilevel/inner-optimizer');
    expect(error.message).toMatch(message);
  });
});

describe("what is bound to 'outer-start'", () => {
  const startingAt = (step: number) =>
    plugin('starting', (ctx) =>
      ctx.provide(OUTER_START, () => ({
        get ready() {
          return ctx.clock.step >= step;
        },
      })),
    );
  const stepsOf = (variant: Variant, epochs = 2) => {
    const seen: number[] = [];
    const counting = plugin('counting', (ctx) =>
      ctx.hooks.afterStep.tap(() => void seen.push(ctx.get(BILEVEL).steps)),
    );
    const others = [...(variant.others ?? []), counting];
    return withSession(open({ ...variant, others }), async (session) => {
      const warnings: string[] = [];
      session.telemetry.on('warning', ({ message }) => warnings.push(message));
      await session.fit({ epochs });
      return { seen, warnings };
    });
  };

  test('is waited for, and the interval counts from there', async () => {
    const options = { interval: 2 };
    const waits = await stepsOf({ options, others: [startingAt(1)] });
    expect(waits.seen).toEqual([0, 1, 1, 2, 2, 3, 3, 4, 4, 4]);
    const both = await stepsOf({ options: { ...options, warmup: 5 }, others: [startingAt(1)] });
    expect(both.seen).toEqual([0, 0, 0, 0, 0, 1, 1, 2, 2, 2]);
    expect(both.warnings).toEqual([]);
  });

  test('that never comes is told at the end', async () => {
    const { seen, warnings } = await stepsOf({ others: [startingAt(1000)] });
    expect(seen.at(-1)).toBe(0);
    expect(warnings).toEqual([expect.stringMatching(/without an outer step.*'outer-start'/)]);
  });

  test('must say whether it is ready', async () => {
    const { code } = await refusedFit({ bind: { 'outer-start': () => ({}) } });
    expect(code).toBe('bilevel/binding');
  });
});

describe('what outer steps did', () => {
  const names = ['outer', 'norm', 'outer-before', 'outer-after', 'outer-start', 'change'];

  test('is in the numbers of each epoch from the first outer step on', async () => {
    const options = { learningRate: 0.05, warmup: 5, estimator: 'unroll' };
    const { history } = await trained({ options, model: tinyMlp }, 3);
    const numbers = history.map(({ metrics }) => names.map((name) => metrics[`bilevel/${name}`]));
    expect(numbers[0]).toEqual(names.map(() => undefined));
    for (const [outer, norm, before, after, start, change] of numbers.slice(1)) {
      expect(start).toBeGreaterThan(after!);
      expect(Math.min(outer!, norm!, change!)).toBeGreaterThan(0);
      expect(after!).toBeLessThan(before!);
    }
    expect(numbers[2]!.at(-1)!).toBeGreaterThan(numbers[1]!.at(-1)!);
  });

  test('tells the change of φ since outer steps began', () =>
    withSession(open({ options: { learningRate: 0.05 } }), async (session) => {
      const phi = () =>
        [...valuesOf(session.parameters({ trainable: true }))]
          .filter(([path]) => path.startsWith('soft-labels:'))
          .flatMap(([, values]) => Array.from(values));
      const before = phi();
      const { history } = await session.fit({ epochs: 2 });
      const moved =
        Math.hypot(...phi().map((each, i) => each - before[i]!)) / Math.hypot(...before);
      expect(history[1]!.metrics['bilevel/change']).toBeCloseTo(moved, 5);
    }));

  test('is resumed: means, comparison and φ₀', async () => {
    const whole = await trained({ options: { interval: 2 } }, 3);
    const checkpoint = { store: memoryStore(), everySteps: 3 };
    const stop = new AbortController();
    await withSession(open({ options: { interval: 2 }, checkpoint }), async (session) => {
      session.telemetry.on('checkpoint', ({ step }) => step === 9 && stop.abort());
      await session.fit({ epochs: 3, signal: stop.signal });
    });
    await withSession(open({ options: { interval: 2 }, checkpoint }), async (session) => {
      await session.load();
      expect(session.clock.step).toBe(9);
      expect((await session.fit({ untilEpoch: 3 })).history).toEqual(whole.history);
    });
  });

  test('leaves no tensor behind', async () => {
    expect(await tensorsLeakedBy(() => trained({ others: [owner(adam())] }, 1))).toBe(0);
  });
});

describe('an implicit estimator that fails by the state of the network', () => {
  const failing = (): Estimator => () => {
    throw new EspalierError('bilevel/diverges', { problem: 'the series grows', fix: 'Damp it.' });
  };

  test('skips the outer step with its message; the run ends at the limit', () =>
    withSession(
      open({ bind: { hypergradient: failing }, options: { patience: 2 } }),
      async (session) => {
        const warnings: string[] = [];
        session.telemetry.on('warning', ({ message }) => warnings.push(message));
        const { code } = await refusal(() => session.fit({ epochs: 1 }));
        expect(code).toBe('bilevel/diverges');
        expect(warnings).toEqual([
          expect.stringMatching(/the series grows.*1 in a row; the run ends at 2/s),
        ]);
      },
    ));
});

test('a fit in which no outer step is due is told of', () =>
  withSession(open({ options: { warmup: 100 } }), async (session) => {
    const warnings: string[] = [];
    session.telemetry.on('warning', ({ message }) => warnings.push(message));
    await session.fit({ epochs: 1 });
    expect(warnings).toEqual([expect.stringMatching(/without an outer step: none was due/)]);
  }));

describe('share', () => {
  const PULLED = 'soft-labels:soft/kernel';

  /** A term of the loss that trains the outer variables: half their squares. */
  const pulling = plugin(
    'pulling',
    (ctx) =>
      ctx.hooks.loss.tap(({ terms }) => {
        const own = Object.entries(ctx.parameters()).filter(([path]) => path === PULLED);
        terms.add('size', tf.mul(tf.addN(own.map(([, each]) => tf.sum(tf.square(each)))), 0.5));
      }),
    { loss: 'add' },
  );
  /** Notes the norm of each hypergradient that it gets, and leaves the parameters where they are. */
  const recording = (seen: number[]) => ({
    'outer-optimizer': (): GradientTransform => ({
      name: 'recording',
      init: () => ({}),
      update(gradients, state) {
        const squares = Object.values(gradients).map((each) => tf.sum(tf.square(each)));
        seen.push(Math.sqrt(tf.addN(squares).dataSync()[0]!));
        return { updates: {}, state };
      },
    }),
  });

  test('makes the hypergradient as large as the loss’s own gradient over an interval, times it', () => {
    const seen: number[] = [];
    return withSession(
      open({
        options: { share: 0.5, interval: 2 },
        bind: recording(seen),
        others: [pulling],
        optimizer: {
          model: sgd({ learningRate: 0.1 }),
          'soft-labels': sgd({ learningRate: 1e-9 }),
        },
      }),
      async (session) => {
        const { history } = await session.fit({ epochs: 1 });
        const kernel = session.parameters()[PULLED]!;
        const norm = tf.tidy(() => tf.norm(kernel).dataSync()[0]!);
        // φ stays, so that every gradient of the loss is the kernel itself; the first outer step waits for one.
        expect(seen.length).toBeGreaterThan(0);
        seen.forEach((each) => expect(each).toBeCloseTo(0.5 * 2 * norm, 4));
        const { metrics } = history[0]!;
        expect(metrics['bilevel/loss-norm']).toBeCloseTo(norm, 4);
        expect(metrics['bilevel/norm']).not.toBeCloseTo(norm, 4);
      },
    );
  });

  test('counts no gradient of a step that is refused', () => {
    const seen: number[] = [];
    const bind = recording(seen);
    return withSession(
      open({ options: { share: 1 }, bind, others: [pulling], model: tinyMlp }),
      async (session) => {
        const batch = (value: number) => ({
          x: tf.fill([4, 6], value),
          y: tf.tensor1d([0, 1, 2, 0], 'int32'),
        });
        const [good, bad] = [batch(0.5), batch(NaN)];
        await session.step(good);
        const before = tf.memory().numTensors;
        const { code } = await refusal(() => session.step(bad));
        expect(code).toBe('step/non-finite');
        expect(tf.memory().numTensors).toBe(before);
        await session.step(good, { next: good });
        tf.dispose([good, bad]);
        expect(seen.map(Number.isFinite)).toEqual([true]);
      },
    );
  });

  test('is refused by name where the loss gives the variables no gradient', () =>
    withSession(open({ options: { share: 1, patience: 2 } }), async (session) => {
      const warnings: string[] = [];
      session.telemetry.on('warning', ({ message }) => warnings.push(message));
      const { code } = await refusal(() => session.fit({ epochs: 1 }));
      expect(code).toBe('bilevel/no-loss-gradient');
      expect(warnings).toEqual([expect.stringMatching(/option share.*1 in a row/)]);
    }));

  test('is resumed to the bit', async () => {
    const variant = {
      options: { share: 1 },
      others: [pulling, owner(adam({ learningRate: 0.01 }))],
    };
    const whole = await trained(variant);
    const checkpoint = { store: memoryStore(), everySteps: 3 };
    const stop = new AbortController();
    await withSession(open({ ...variant, checkpoint }), async (session) => {
      session.telemetry.on('checkpoint', ({ step }) => step === 3 && stop.abort());
      await session.fit({ epochs: 2, signal: stop.signal });
    });
    await withSession(open({ ...variant, checkpoint }), async (session) => {
      await session.load();
      const { history } = await session.fit({ untilEpoch: 2 });
      expect(history).toEqual(whole.history);
      expect(firstDifference(whole.values, valuesOf(session.parameters()))).toBeUndefined();
    });
  });
});

describe('control', () => {
  /** One number of each hypergradient that moves the variables. */
  const firstsOf = async (control?: string) => {
    const seen: number[] = [];
    const bind = {
      'outer-optimizer': (): GradientTransform => ({
        name: 'still',
        init: () => ({}),
        update(gradients, state) {
          seen.push(gradients['soft-labels:soft/bias']!.dataSync()[0]!);
          return { updates: {}, state };
        },
      }),
    };
    await trained({ options: { control }, bind });
    return seen;
  };

  test('changes the sign of hypergradients and nothing else', async () => {
    const [plain, negated, drawn] = [
      await firstsOf(),
      await firstsOf('negated'),
      await firstsOf('random-sign'),
    ];
    expect(negated).toEqual(plain.map((each) => -each));
    expect(drawn.map(Math.abs)).toEqual(plain.map(Math.abs));
    const kept = drawn.filter((each, i) => each === plain[i]).length;
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(plain.length);
  });
});
