import { adam, adamw, fromTfOptimizer, memoryStore, rmsprop, sgd, tfjs } from '@espalier/core';
import type {
  GradientTransform,
  NamedTensors,
  OwnOptimizer,
  PluginContext,
  Session,
} from '@espalier/core';
import {
  firstDifference,
  onBackend,
  tensorsLeakedBy,
  trainedValues,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import { constraints, layers, sequential } from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { changing, EVERY_EFFECT, open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const KERNEL = 'guide:guided/kernel';
const BIAS = 'guide:guided/bias';

interface GuideOptions {
  readonly own?: GradientTransform;
  readonly patterns?: readonly string[];
  /** Whether the loss reaches the network. */
  readonly reached?: boolean;
  readonly constrained?: boolean;
  readonly use?: (own: OwnOptimizer | undefined, ctx: PluginContext) => void;
}

/** The networks of the guides, in the order in which they were made. */
const networks: LayersModel[] = [];

/** Pulls the logits towards what a network of its own makes of the inputs. */
function guide({ own, patterns = ['guide:*'], reached = true, ...more }: GuideOptions = {}) {
  const { constrained, use } = more;
  return plugin('guide', {
    apply(ctx) {
      const network = (ctx as PluginContext<{ structure: 'add' }>).addNetwork(() => {
        const made = sequential({
          layers: [
            layers.dense({
              ...{ name: 'guided', units: 3, inputShape: [6] },
              ...(constrained && { kernelConstraint: constraints.nonNeg() }),
            }),
          ],
        });
        networks.push(made);
        return made;
      });
      const handle = own && ctx.optimizeWith(patterns, own);
      ctx.hooks.loss.tap(({ batch, outputs, terms, mean }) => {
        const { guided } = network.execute(
          { guided_input: Object.values(batch.inputs)[0]! },
          { detach: !reached },
        );
        const gap = tf.sum(tf.square(tf.sub(outputs['logits']!, guided!)), 1) as Tensor1D;
        terms.add('gap', mean(gap));
      });
      use?.(handle, ctx);
    },
  });
}

const run = () => sgd({ learningRate: 0.1, momentum: 0.9, weightDecay: 0.01 });
const own = () => adam({ learningRate: 0.01 });
const trained = (config: Parameters<typeof open>[0]) =>
  withSession(open(config), (session) => trainedValues(session, 2));
const ones = () => ({ [KERNEL]: tf.ones([6, 3]), [BIAS]: tf.ones([3]) });

/** Makes a step with its own optimizer after every step of the run. */
const stepping = (optimizer: GradientTransform = own()) =>
  guide({
    own: optimizer,
    use: (handle, ctx) =>
      ctx.hooks.afterStep.tap(() => {
        const gradients = ones();
        handle!.step(gradients);
        tf.dispose(gradients);
      }),
  });

describe('ctx.optimizeWith', () => {
  it('moves its parameters as a group of that optimizer would, and the run leaves them alone', async () => {
    const [claimed, grouped] = [
      await trained({ optimizer: run(), plugins: [guide({ own: own() })] }),
      await trained({ optimizer: { model: run(), guide: own() }, plugins: [guide()] }),
    ];
    expect(firstDifference(claimed, grouped)).toBeUndefined();
  });

  it('keeps its state under the plugin, and none of it in the run’s', () =>
    withSession(open({ optimizer: run(), plugins: [guide({ own: own() })] }), (session) => {
      const { 'trace/b': trace, ...rest } = session.optimizerState;
      expect(Object.keys(trace!)).not.toContain(KERNEL);
      expect(Object.fromEntries(Object.entries(rest).map(([k, v]) => [k, Object.keys(v)]))).toEqual(
        { 'guide/adam/m': [KERNEL, BIAS], 'guide/adam/v': [KERNEL, BIAS] },
      );
      return Promise.resolve();
    }));

  it('gives way to the optimizer that the user gives for the group', async () => {
    const optimizer = { model: run(), guide: sgd({ learningRate: 0.5 }) };
    const [both, users] = [
      await trained({ optimizer, plugins: [guide({ own: own() })] }),
      await trained({ optimizer, plugins: [guide()] }),
    ];
    expect(firstDifference(both, users)).toBeUndefined();
  });

  it('is not scaled with the run, and counts its own steps', async () => {
    const scaling = plugin('scaling', {
      effects: { updates: 'modify' },
      apply: (ctx) => ctx.hooks.epochStart.tap(() => ctx.scaleUpdates(1e-3)),
    });
    const moves = async (plugins: ReturnType<typeof plugin>[]) =>
      withSession(open({ optimizer: sgd({ learningRate: 1e-9 }), plugins }), async (session) => {
        await session.fit({ epochs: 1 });
        return {
          kernel: session.parameters()[KERNEL]!.dataSync(),
          info: session.inspect().optimizers[1]!,
        };
      });
    const [scaled, plain] = [
      await moves([guide({ own: own() }), scaling]),
      await moves([guide({ own: own() })]),
    ];
    expect(scaled.info).toMatchObject({ plugin: 'guide', name: 'adam', steps: 4 });
    scaled.kernel.forEach((value, i) => expect(value).toBeCloseTo(plain.kernel[i]!, 5));
  });

  it('makes no step where the loss gives its parameters no gradient', () =>
    withSession(open({ plugins: [guide({ own: own(), reached: false })] }), async (session) => {
      const before = session.parameters()[KERNEL]!.dataSync().slice();
      await session.fit({ epochs: 1 });
      expect(session.parameters()[KERNEL]!.dataSync()).toEqual(before);
      expect(session.inspect().optimizers[1]).toMatchObject({ steps: 0 });
    }));

  it('leaves no tensor behind', async () => {
    expect(await tensorsLeakedBy(() => trained({ plugins: [stepping()] }))).toBe(0);
  });
});

describe('OwnOptimizer.step', () => {
  it('goes on from the state and the count of the steps before', async () => {
    let seen: readonly number[] = [];
    const use = (handle: OwnOptimizer | undefined, ctx: PluginContext) =>
      ctx.hooks.epochEnd.tap(() => {
        const gradients = ones();
        for (let i = 0; i < 3; i += 1) handle!.step(gradients);
        tf.dispose(gradients);
        seen = [handle!.steps, handle!.paths.length];
      });
    await withSession(
      open({ plugins: [guide({ own: own(), reached: false, use })] }),
      async (session) => {
        const bias = session.parameters()[BIAS]!;
        const before = bias.dataSync().slice();
        await session.fit({ epochs: 1 });
        expect(seen).toEqual([3, 2]);
        // Of a constant gradient every step of Adam is the rate.
        const after = bias.dataSync();
        after.forEach((value, i) => expect(value).toBeCloseTo(before[i]! - 0.03, 5));
      },
    );
  });

  it('begins anew where it is told to', () => {
    let counts: readonly number[] = [];
    const use = (handle: OwnOptimizer | undefined, ctx: PluginContext) =>
      ctx.hooks.epochEnd.tap(() => {
        const before = handle!.steps;
        handle!.restart();
        counts = [before, handle!.steps];
      });
    return withSession(open({ plugins: [guide({ own: own(), use })] }), async (session) => {
      await session.fit({ epochs: 1 });
      expect(counts).toEqual([4, 0]);
      const slots = Object.values(session.optimizerState['guide/adam/v']!);
      expect(slots.every((slot) => slot.dataSync().every((value) => value === 0))).toBe(true);
    });
  });

  it('lets constraints of the layers act', () =>
    withSession(
      open({
        plugins: [
          guide({
            ...{ own: sgd({ learningRate: 100 }), reached: false, constrained: true },
            use: (handle, ctx) =>
              ctx.hooks.afterStep.tap(() => {
                const gradients = { [KERNEL]: tf.ones([6, 3]) };
                handle!.step(gradients);
                tf.dispose(gradients);
              }),
          }),
        ],
      }),
      async (session) => {
        await session.fit({ epochs: 1 });
        expect([...session.parameters()[KERNEL]!.dataSync()].every((each) => each === 0)).toBe(
          true,
        );
      },
    ));

  it('is resumed to the bit, in the middle of an epoch too', async () => {
    const config = () => ({ plugins: [stepping()], optimizer: run() });
    const whole = await trained(config());
    const store = memoryStore();
    const checkpoint = { store, everySteps: 1 };
    const stop = new AbortController();
    await withSession(open({ ...config(), checkpoint, logInterval: 1 }), async (session) => {
      session.telemetry.on('step', ({ step }) => step === 3 && stop.abort());
      await session.fit({ epochs: 2, signal: stop.signal });
    });
    const resumed = await withSession(open({ ...config(), checkpoint }), async (session) => {
      expect(await session.load()).toBe(true);
      expect(session.inspect().optimizers[1]!.steps).toBe(6);
      await session.fit({ untilEpoch: 2 });
      return valuesOf(session.parameters());
    });
    expect(firstDifference(whole, resumed)).toBeUndefined();
  });

  it('keeps its state where the structure changes', () =>
    withSession(open({ plugins: [stepping(), changing()] }), async (session) => {
      await session.fit({ epochs: 1 });
      const before = valuesOf(session.optimizerState['guide/adam/m']!);
      await session.transform();
      const { steps } = session.inspect().optimizers[1]!;
      expect(steps).toBe(8);
      const after = valuesOf(session.optimizerState['guide/adam/m']!);
      expect(firstDifference(before, after)).toBeUndefined();
    }));
});

describe('a checkpoint of a run whose plugin has an optimizer of its own', () => {
  it('is refused by name by a run where it has none, and by one where it has another', async () => {
    const store = memoryStore();
    const config = (optimizer?: GradientTransform) => ({
      plugins: [guide(optimizer && { own: optimizer })],
      checkpoint: { store },
    });
    await withSession(open(config(own())), (session) => session.fit({ epochs: 1 }));
    for (const other of [undefined, sgd({ learningRate: 0.1 })]) {
      const { code, message } = await withSession(open(config(other)), (session) =>
        refusal(() => session.load()),
      );
      expect(code).toBe('checkpoint/mismatch');
      expect(message).toMatch(/its training was .*"guide":"adam"/);
    }
    const steps = await withSession(open(config()), async (session) => {
      await session.load({ allowMismatch: ['training'] });
      return session.clock.step;
    });
    expect(steps).toBe(4);
  });

  it('cannot be written where its state is in no checkpoint', () =>
    withSession(
      open({ plugins: [guide({ own: fromTfOptimizer(() => tf.train.adam(0.1)) })] }),
      async (session) => {
        const { code } = await refusal(() => session.save(memoryStore()));
        expect(code).toBe('checkpoint/optimizer');
      },
    ));
});

describe('ctx.optimizerOf', () => {
  const asking = (
    paths: readonly string[],
    use: (own: OwnOptimizer | undefined) => void = () => undefined,
    effects = { 'weights:*': 'modify' } as const,
  ) =>
    plugin('asking', {
      effects,
      apply: (ctx) => ctx.hooks.beforeStep.tap(() => use(ctx.optimizerOf(paths))),
    });
  const step = (session: Session) => session.fit({ epochs: 1 });

  it('gives the handle of the plugin that has it, and none where the run’s optimizes', async () => {
    const seen: (string | undefined)[] = [];
    for (const paths of [[KERNEL, BIAS], ['hidden/kernel']]) {
      const plugins = [guide({ own: own() }), asking(paths, (found) => seen.push(found?.plugin))];
      await withSession(open({ plugins }), step);
    }
    expect(seen).toEqual([...Array<string>(4).fill('guide'), ...Array<undefined>(4)]);
  });

  it('refuses parameters of several optimizers, and plugins that may not move them', async () => {
    const refused = async (...given: Parameters<typeof asking>) => {
      const plugins = [guide({ own: own() }), asking(...given)];
      return withSession(open({ plugins }), (session) => refusal(() => step(session)));
    };
    const split = await refused(['hidden/kernel', KERNEL]);
    expect(split.code).toBe('optim/split');
    expect(split.message).toMatch(
      /'hidden\/kernel' is moved by the run's.*by the optimizer of plugin 'guide'/,
    );
    const closed = await refused([KERNEL], undefined, {} as never);
    expect(closed.code).toBe('effects/undeclared');
  });
});

describe('refused before the first step', () => {
  const claiming = (id: string, patterns: readonly string[], effects = EVERY_EFFECT) =>
    plugin(id, {
      effects,
      apply: (ctx) => void ctx.optimizeWith(patterns, sgd({ learningRate: 1 })),
    });
  const weights = { 'weights:*': 'modify' } as const;

  it.each<[string, string, () => Parameters<typeof open>[0], RegExp]>([
    [
      'two plugins that claim one parameter',
      'optim/two-owners',
      () => ({
        plugins: [claiming('a', ['hidden/*'], weights), claiming('b', ['*/bias'], weights)],
      }),
      /'a' and 'b' both give 'hidden\/bias'/,
    ],
    [
      'patterns that no parameter fits',
      'optim/no-parameters',
      () => ({ plugins: [claiming('a', ['hiden/*'], weights)] }),
      /plugin 'a' has an optimizer/,
    ],
    [
      'parameters of others without the effect',
      'effects/undeclared',
      () => ({ plugins: [claiming('a', ['hidden/*'])] }),
      /plugin 'a' gives 'hidden\/kernel'.*'weights:hidden\/kernel'/s,
    ],
    [
      'one optimizer for several groups of which the user gives one another',
      'optim/several-groups',
      () => ({
        optimizer: { model: run(), guide: run() },
        plugins: [guide(), claiming('a', ['hidden/*', 'guide:*'], weights)],
      }),
      /the groups 'model', 'guide'/,
    ],
    [
      'a second call',
      'plugin/optimizer',
      () => ({
        plugins: [
          guide({ own: own(), use: (_, ctx) => void ctx.optimizeWith(['guide:*'], own()) }),
        ],
      }),
      /ctx\.optimizeWith is called once/,
    ],
    [
      'what is no optimizer',
      'plugin/optimizer',
      () => ({ plugins: [guide({ own: tf.train.adam(0.1) as never })] }),
      /with a list of paths and an optimizer/,
    ],
  ])('%s', async (_, code, config, message) => {
    const error = await refusal(() => open(config()));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  it('an optimizer of the caller’s on session.loss', () =>
    withSession(open({ plugins: [guide({ own: own() })] }), async (session) => {
      const { code, message } = await refusal(() => session.checkLoss());
      expect(code).toBe('session/unfired');
      expect(message).toMatch(/'guide' \(has an optimizer of its own\)/);
    }));
});

describe('a step of gradients that are not its own', () => {
  it.each<[string, () => NamedTensors, RegExp]>([
    ['another’s', () => ({ 'hidden/bias': tf.ones([8]) }), /does not move 'hidden\/bias'/],
    ['none', () => ({}), /got no gradient/],
  ])('is refused: %s', async (_, make, text) => {
    const use = (handle: OwnOptimizer | undefined, ctx: PluginContext) =>
      ctx.hooks.afterStep.tap(() => tf.tidy(() => handle!.step(make())));
    await withSession(open({ plugins: [guide({ own: own(), use })] }), async (session) => {
      const { code, message } = await refusal(() => session.fit({ epochs: 1 }));
      expect(code).toBe('optim/not-own');
      expect(message).toMatch(text);
    });
  });

  it('is refused where none of its parameters trains', () => {
    const use = (handle: OwnOptimizer | undefined, ctx: PluginContext) => {
      ctx.hooks.afterStep.tap(() => tf.tidy(() => handle!.step(ones())));
      ctx.hooks.epochEnd.tap(() => void (networks.at(-1)!.trainable = false));
    };
    return withSession(open({ plugins: [guide({ own: own(), use })] }), async (session) => {
      await session.fit({ epochs: 1 });
      const { code, message } = await refusal(() => session.fit({ epochs: 1 }));
      expect(code).toBe('optim/not-own');
      expect(message).toMatch(/None of its parameters trains/);
      expect(session.optimizerState['guide/adam/m']).toEqual({});
    });
  });
});

describe('inspect and explain', () => {
  it('say who optimizes what', () =>
    withSession(
      open({
        optimizer: { model: run(), guide: sgd({ learningRate: 0.5 }) },
        plugins: [guide({ own: own() })],
      }),
      (session) => {
        const [mine, other] = session.inspect().optimizers;
        expect(mine).toMatchObject({ name: 'byGroup', steps: 0 });
        expect(mine!.parameters).not.toContain(KERNEL);
        expect(other).toEqual({
          ...{ name: 'sgd', plugin: 'guide', group: 'guide', steps: 0 },
          parameters: [KERNEL, BIAS],
        });
        expect(session.explain()).toContain(
          `optimizer of createSession for 'guide': sgd, for ${KERNEL}, ${BIAS}`,
        );
        return Promise.resolve();
      },
    ));
});

describe('ctx.runOptimizer', () => {
  it('makes the updates that the next step makes, and moves nothing', async () => {
    const checks: number[] = [];
    const looking = plugin('looking', {
      effects: { gradients: 'modify' },
      apply(ctx) {
        let expected: NamedTensors = {};
        ctx.hooks.gradients.tap((gradients) => {
          tf.dispose(expected);
          expected = tf.tidy(() => {
            const virtual = ctx.runOptimizer();
            const params = ctx.parameters({ trainable: true });
            const { updates } = virtual.update(gradients, virtual.init(params), params, {
              step: 0,
            });
            return Object.fromEntries(
              Object.entries(updates).map(([path, update]) => [
                path,
                tf.keep(tf.add(params[path]!, update)),
              ]),
            );
          });
          return gradients;
        });
        ctx.hooks.afterApply.tap(() => {
          const difference = firstDifference(
            valuesOf(expected),
            valuesOf(ctx.parameters({ trainable: true })),
          );
          checks.push(difference === undefined ? 0 : 1);
        });
        ctx.onTeardown(() => tf.dispose(expected));
      },
    });
    const scaling = plugin('scaling', {
      effects: { updates: 'modify' },
      apply: (ctx) => ctx.hooks.epochStart.tap(() => ctx.scaleUpdates(0.5)),
    });
    await trained({ optimizer: run(), plugins: [guide({ own: own() }), scaling, looking] });
    expect(checks).toEqual(Array(8).fill(0));
  });

  it('tells each parameter’s learning rate at the next step', async () => {
    const rates: (number | undefined)[][] = [];
    const looking = plugin('looking', {
      effects: { updates: 'modify' },
      apply(ctx) {
        ctx.hooks.beforeStep.tap(() => {
          const { learningRate } = ctx.runOptimizer();
          rates.push([learningRate!(0, 'hidden/kernel'), learningRate!(0, KERNEL)]);
        });
        ctx.hooks.afterStep.tap(() => ctx.scaleUpdates(0.5));
      },
    });
    const optimizer = sgd({ learningRate: (step) => 1 / (1 + step), momentum: 0.9 });
    const plugins = [guide({ own: own() }), looking];
    await withSession(open({ optimizer, plugins }), (session) => session.fit({ epochs: 1 }));
    expect(rates.slice(0, 2)).toEqual([
      [1, 0.01],
      [0.25, 0.01],
    ]);
    const foreign = { optimizer: fromTfOptimizer(() => tf.train.sgd(0.1)), plugins: [looking] };
    await withSession(open(foreign), (session) => session.fit({ epochs: 1 }));
    expect(rates.at(-1)).toEqual([undefined, undefined]);
  });
});

describe('a step that is differentiated where a gradient is 0', () => {
  it.each([
    ['adam', adam()],
    ['adamw', adamw()],
    ['rmsprop', rmsprop()],
    ['tfjs.adam', tfjs.adam()],
  ])('has a finite derivative: %s', (_, transform) => {
    const derivative = tf.tidy(() => {
      const params = { a: tf.tensor1d([1, 2]) };
      const step = (g: tf.Tensor) =>
        transform.update({ a: g }, transform.init(params), params, { step: 0 }).updates['a']!;
      return tf
        .grad(step)(tf.tensor1d([0, 0.5]))
        .dataSync();
    });
    expect(Number.isFinite(derivative[0]! + derivative[1]!)).toBe(true);
  });
});
