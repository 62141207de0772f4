import {
  createToken,
  definePlugin,
  followPaths,
  keyedRng,
  replaceLayer,
  toDistribution,
} from '@espalier/core';
import type {
  Batch,
  Effects,
  HasPlainLayer,
  PluginContext,
  Preset,
  StructureChange,
} from '@espalier/core';
import { CHECKS, ConformanceError, onBackend, PRESET_CHECKS, testPlugin } from '@espalier/testkit';
import type { AnyFactory, PluginSubject, PresetSubject } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';

beforeAll(() => onBackend('cpu'));

interface Sketch {
  readonly options?: z.ZodType;
  readonly effects?: Effects;
  readonly stateless?: boolean;
  readonly apply?: (ctx: PluginContext, options: never) => void;
}

/** A dense layer that forgets its bias when it is to be plain. */
class Forgetful extends tfl.layers.Layer implements HasPlainLayer {
  static readonly className = 'Forgetful';

  constructor(private readonly given: { readonly units: number; readonly name?: string }) {
    super(given);
  }

  override build([, inputs]: number[]): void {
    const ones = tfl.initializers.ones();
    this.addWeight('kernel', [inputs!, this.given.units], 'float32', ones);
    this.addWeight('bias', [this.given.units], 'float32', ones);
    this.built = true;
  }

  override computeOutputShape([batch]: number[]): number[] {
    return [batch!, this.given.units];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [kernel, bias] = this.weights.map((weight) => weight.read());
    return tf.tidy(() => tf.add(tf.matMul([inputs].flat()[0]!, kernel!), bias!));
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), units: this.given.units };
  }

  plainLayer() {
    const config = { ...this.getConfig(), useBias: false };
    return { className: 'Dense', config, weights: { kernel: this.weights[0]!.read() } };
  }
}
tf.serialization.registerClass(Forgetful);

const factory = (sketch: Sketch = {}): AnyFactory =>
  definePlugin({
    id: 'subject',
    version: '1.0.0',
    options: z.strictObject({}),
    stateless: true,
    apply: () => undefined,
    ...sketch,
  } as never);

const subject = (sketch: Sketch): PluginSubject => ({ name: 'case', factory: factory(sketch) });

/** Plugins that keep every promise. */
testPlugin(factory());
testPlugin(
  factory({
    effects: { loss: 'add' },
    apply(ctx) {
      ctx.hooks.loss.tap(({ outputs, terms, mean }) => {
        const noise = Float32Array.from({ length: 3 }, ctx.random('noise'));
        const noisy = tf.add(outputs['logits']!, tf.tensor1d(noise));
        terms.add('size', mean(tf.sum(tf.square(noisy), -1) as tf.Tensor1D), { weight: 0.01 });
      });
    },
  }),
);
testPlugin(
  factory({
    stateless: false,
    effects: { 'loss:task/cross-entropy': 'modify' },
    apply(ctx) {
      let seen = 0;
      ctx.hooks.afterApply.tap(({ microBatches: window }) => void (seen += window.length));
      ctx.hooks.loss.tap(({ terms }) => terms.scale('task/cross-entropy', 1 / (1 + seen)));
      ctx.keepState({
        version: 1,
        save: () => ({ json: seen }),
        load: ({ json }) => void (seen = json as number),
      });
    },
  }),
);

testPlugin(
  factory({
    effects: { loss: 'add' },
    apply({ hooks }) {
      let taps = 0;
      const count = () => void (taps += 1);
      hooks.beforeStep.tap(async () => count());
      hooks.loss.tap(count);
      hooks.afterApply.tap(count);
    },
  }),
  [{ name: 'taps that ignore their argument' }],
);
testPlugin(factory(shifter((purpose, batch) => `${purpose} ${batch.key}`)), [
  { name: 'augmentation' },
]);
testPlugin(
  factory({
    effects: { gradients: 'replace' },
    apply: (ctx) => ctx.hooks.gradients.tap(() => ctx.windowGradients()),
  }),
  [{ name: 'replaced gradients' }],
);
testPlugin(
  factory({
    effects: { gradients: 'modify' },
    apply: (ctx) =>
      ctx.hooks.gradients.tap((gradients) =>
        Object.fromEntries(Object.entries(gradients).map(([path, g]) => [path, tf.mul(g, 0)])),
      ),
  }),
  [{ name: 'gradients times 0' }],
);
testPlugin(factory(averager(followPaths)), [{ name: 'an average by path' }]);
testPlugin(factory(holder()), [{ name: 'a tensor as state' }]);

/** A plugin that changes targets. */
function changer(change: (target: tf.Tensor, logits: (number | null)[]) => tf.Tensor): Sketch {
  return {
    effects: { targets: 'modify' },
    apply: (ctx) =>
      ctx.hooks.targets.tap(({ logits }) => ({
        logits: change(logits!, [...ctx.model.outputShapes['logits']!]),
      })),
  };
}

/** A plugin that shifts inputs by a draw for the purpose that it names. */
function shifter(purposeOf: (purpose: string, batch: Batch) => string): Sketch {
  return {
    effects: { batch: 'modify' },
    apply(ctx) {
      ctx.hooks.batch.tap((batch) => {
        const shift = ctx.random(purposeOf('shift', batch))();
        const moved = Object.entries(batch.inputs).map(([name, x]) => [name, tf.add(x, shift)]);
        return { ...batch, inputs: Object.fromEntries(moved) };
      });
    },
  };
}

/** A plugin that holds a tensor from its first step on; `save` and `load` as given, else right. */
function holder({
  save = (held: tf.Tensor) => held,
  load = (saved: tf.Tensor, held: tf.Tensor | undefined) => {
    held?.dispose();
    return tf.clone(saved);
  },
} = {}): Sketch {
  return {
    stateless: false,
    apply(ctx) {
      let held: tf.Tensor | undefined;
      ctx.hooks.afterApply.tap(() => void (held ??= tf.scalar(1)));
      ctx.keepState({
        version: 1,
        save: () => (held ? { tensors: { held: save(held) } } : {}),
        load: ({ tensors }) => void (held = load(tensors!['held']!, held)),
      });
      ctx.onTeardown(() => held?.dispose());
    },
  };
}

type Average = Record<string, tf.Tensor>;

/** A plugin that keeps a moving average of every parameter, by path; `follow` says how it follows. */
function averager(
  follow: (average: Average, change: StructureChange) => Average | undefined,
): Sketch {
  return {
    stateless: false,
    apply(ctx) {
      let average: Average = {};
      const replace = (next: () => Average) => {
        const before = average;
        average = tf.tidy(next);
        Object.values(average).forEach((tensor) => tf.keep(tensor));
        tf.dispose(before);
      };
      ctx.hooks.afterApply.tap(() => {
        const moved = tf.tidy(() => {
          const entries = Object.entries(ctx.parameters()).map(([path, value]) => {
            const old = average[path] ?? value;
            return [path, tf.keep(tf.add(tf.mul(old, 0.9), tf.mul(value, 0.1)))] as const;
          });
          return Object.fromEntries(entries);
        });
        const gone = Object.keys(average).filter((path) => !(path in moved));
        const left = Object.fromEntries(gone.map((path) => [path, average[path]!]));
        Object.keys(moved).forEach((path) => average[path]?.dispose());
        average = { ...left, ...moved };
      });
      ctx.hooks.structureChange.tap((change) => {
        average = follow(average, change) ?? average;
      });
      ctx.keepState({
        version: 1,
        save: () => ({ tensors: average }),
        load: ({ tensors = {} }) =>
          replace(() =>
            Object.fromEntries(Object.entries(tensors).map(([path, t]) => [path, tf.clone(t)])),
          ),
      });
      ctx.onTeardown(() => tf.dispose(average));
    },
  };
}

/** One broken plugin for every promise; the check must catch it, and only a real fault. */
const BROKEN: Record<string, Record<string, Sketch>> = {
  'trains alone': {
    'a tap throws': {
      apply: (ctx) =>
        ctx.hooks.afterStep.tap(() => {
          throw new Error('broken');
        }),
    },
  },
  options: {
    'unknown options are swallowed': { options: z.object({}) },
    'defaults change from parse to parse': {
      options: z.strictObject({
        n: z
          .number()
          .default(1)
          .transform((n) => n + 1),
      }),
    },
  },
  'declared effects': {
    'weights change in secret': {
      apply(ctx) {
        ctx.hooks.afterApply.tap(() => {
          const bias = ctx.parameters()['logits/bias'] as tf.Variable;
          tf.tidy(() => bias.assign(tf.add(bias, 1)));
        });
      },
    },
    'a foreign tensor is disposed': {
      apply(ctx) {
        ctx.hooks.afterStep.tap(({ microBatches: window }) =>
          Object.values(window[0]!.inputs)[0]!.dispose(),
        );
      },
    },
    'Math.random is drawn from': {
      apply: (ctx) => ctx.hooks.beforeStep.tap(() => void Math.random()),
    },
  },
  'building on others': {
    'gradients are made anew': {
      effects: { gradients: 'modify' },
      apply: (ctx) => ctx.hooks.gradients.tap(() => ctx.windowGradients()),
    },
    'the gradients of one layer are made anew, late': {
      effects: { gradients: 'add' },
      apply: (ctx) =>
        ctx.hooks.gradients.tap((gradients) =>
          ctx.clock.step < 2 ? gradients : { ...gradients, 'logits/bias': tf.ones([3]) },
        ),
    },
    'targets come from elsewhere': {
      effects: { targets: 'modify' },
      apply: (ctx) => ctx.hooks.targets.tap(({ logits }) => ({ logits: tf.onesLike(logits!) })),
    },
    'inputs come from elsewhere': {
      effects: { 'batch:inputs': 'modify' },
      apply: (ctx) =>
        ctx.hooks.batch.tap(async (batch) => {
          const [[name, x]] = Object.entries(batch.inputs) as [[string, tf.Tensor]];
          return { ...batch, inputs: { [name]: tf.onesLike(x) } };
        }),
    },
  },
  targets: {
    'labels leave their range': changer((target) => tf.add(target, 5)),
    'labels get an axis too many': changer((target) => tf.expandDims(target, 1)),
    'distributions are taken for ids': changer((target) => tf.oneHot(tf.cast(target, 'int32'), 3)),
    'distributions no longer sum to 1': changer((target, logits) =>
      tf.mul(toDistribution(target, logits), 0.5),
    ),
    'an example of weight 0 counts': {
      effects: { loss: 'add' },
      apply(ctx) {
        let mean = 0;
        ctx.hooks.beforeStep.tap(({ microBatches: window }) => {
          const sums = window
            .flatMap(({ inputs }) => Object.values(inputs))
            .map((x) => tf.tidy(() => tf.mean(x).dataSync()[0]!));
          mean = sums.reduce((a, b) => a + b, 0);
        });
        ctx.hooks.loss.tap(({ terms }) => terms.add('mean', tf.scalar(mean)));
      },
    },
  },
  determinism: {
    'a counter outlives the run': (() => {
      let steps = 0;
      return {
        effects: { loss: 'add' },
        apply(ctx) {
          ctx.hooks.loss.tap(({ terms, outputs }) =>
            terms.add('t', tf.mul(tf.mean(outputs['logits']!), 0.01 * steps++)),
          );
        },
      } satisfies Sketch;
    })(),
  },
  'random draws': {
    'micro-batches are augmented alike': shifter((purpose) => purpose),
  },
  replay: {
    'evaluations count': {
      effects: { loss: 'add' },
      apply(ctx) {
        let evaluations = 0;
        ctx.hooks.loss.tap(({ terms, outputs }) =>
          terms.add('t', tf.mul(tf.mean(outputs['logits']!), 0.01 * evaluations++)),
        );
      },
    },
    'an evaluation leaves a tensor': {
      effects: { loss: 'add' },
      apply(ctx) {
        ctx.hooks.loss.tap(({ outputs }) => void tf.keep(tf.clone(outputs['logits']!)));
      },
    },
  },
  resume: {
    'something is remembered and not kept': {
      effects: { loss: 'add' },
      apply(ctx) {
        let steps = 0;
        ctx.hooks.afterApply.tap(() => void (steps += 1));
        ctx.hooks.loss.tap(({ terms, outputs }) =>
          terms.add('t', tf.mul(tf.mean(outputs['logits']!), 0.1 * steps)),
        );
      },
    },
    'loading forgets to dispose what it replaces': holder({ load: (saved) => tf.clone(saved) }),
    'a Map is kept as JSON': {
      stateless: false,
      apply: (ctx) =>
        ctx.keepState({
          version: 1,
          save: () => ({ json: new Map([['a', 1]]) }),
          load: () => undefined,
        }),
    },
    'an array of numbers is kept as JSON': {
      stateless: false,
      apply: (ctx) =>
        ctx.keepState({
          version: 1,
          save: () => ({ json: { seen: new Float32Array(2) } }),
          load: () => undefined,
        }),
    },
    'saving makes copies': holder({ save: (held) => tf.clone(held) }),
  },
  leaks: {
    'each step keeps a tensor': {
      apply: (ctx) => ctx.hooks.afterStep.tap(() => void tf.scalar(1)),
    },
    'a tensor outlives the run': { apply: () => void tf.keep(tf.scalar(1)) },
    'a patch outlives the run': {
      apply: () => {
        const { call } = tfl.layers.Layer.prototype;
        tfl.layers.Layer.prototype.call = function (...args) {
          return call.apply(this, args);
        };
      },
    },
  },
  attribution: {
    'errors are swallowed': {
      effects: { batch: 'modify' },
      apply(ctx) {
        ctx.hooks.beforeStep.tap(({ microBatches: window }) => {
          try {
            void (window as readonly Batch[]).length;
          } catch {
            // The fault that the check plants.
          }
        });
        ctx.hooks.afterStep.tap((step) => {
          try {
            void step.microBatches;
          } catch {
            // The fault that the check plants.
          }
        });
      },
    },
  },
  pairing: {
    'two of it break each other': (() => {
      let running = 0;
      return {
        apply(ctx) {
          ctx.hooks.epochStart.tap(() => {
            running += 1;
            if (running > 1) throw new Error('only one at a time');
          });
          ctx.hooks.epochEnd.tap(() => void (running -= 1));
          ctx.onTeardown(() => void (running = 0));
        },
      } satisfies Sketch;
    })(),
  },
  'structure changes': {
    'an average by path does not follow': averager(() => undefined),
    'numbers by path do not follow': {
      stateless: false,
      apply(ctx) {
        let sizes: Record<string, number> = {};
        ctx.hooks.afterApply.tap(() => {
          const found = Object.entries(ctx.parameters()).map(([path, { size }]) => [path, size]);
          sizes = { ...sizes, ...(Object.fromEntries(found) as Record<string, number>) };
        });
        ctx.keepState({
          version: 1,
          save: () => ({ json: sizes }),
          load: ({ json }) => void (sizes = json as Record<string, number>),
        });
      },
    },
    'what is dropped is not disposed': averager((average, change) => {
      const lost = [...change.dropped, ...change.reshaped];
      return Object.fromEntries(Object.entries(average).filter(([path]) => !lost.includes(path)));
    }),
  },
  transform: {
    'a layer does not decode what it computes': {
      effects: { structure: 'modify' },
      apply: (ctx) =>
        ctx.hooks.transform.tap(() =>
          ctx.edit((graph) => {
            const [kernel, bias] = ['kernel', 'bias'].map(
              (name) => graph.weights[`logits/${name}`]!,
            );
            const weights = { kernel: kernel!, bias: bias! };
            return replaceLayer(graph, 'logits', new Forgetful({ units: bias!.size }), weights);
          }),
        ),
    },
    'the transformed run forgets what it did': {
      effects: { structure: 'modify', loss: 'add' },
      apply(ctx) {
        let transformed = false;
        ctx.hooks.transform.tap(() => {
          transformed = true;
          ctx.edit((graph) => graph);
        });
        ctx.hooks.loss.tap(({ terms, outputs }) => {
          if (transformed) terms.add('t', tf.mean(outputs['logits']!));
        });
      },
    },
    'a transform leaves a tensor': {
      effects: { structure: 'modify' },
      apply: (ctx) => ctx.hooks.transform.tap(() => void tf.keep(tf.scalar(1))),
    },
    'each step after it keeps a tensor': {
      effects: { structure: 'modify' },
      apply(ctx) {
        let transformed = false;
        ctx.hooks.transform.tap(() => void (transformed = true));
        ctx.hooks.afterStep.tap(() => void (transformed && tf.scalar(1)));
      },
    },
  },
};

describe.each(Object.keys(CHECKS))('the check of %s', (check) => {
  test.each(Object.keys(BROKEN[check]!))('finds that %s', async (fault) => {
    const { call } = tfl.layers.Layer.prototype;
    const run = CHECKS[check]!(subject(BROKEN[check]![fault]!));
    await expect(run).rejects.toBeInstanceOf(ConformanceError);
    tfl.layers.Layer.prototype.call = call;
  });

  test('passes a plugin that does nothing', () => CHECKS[check]!(subject({})));
});

/** A preset of plugins by id, each given the options of the preset. */
const presetOf = (sketches: Record<string, Sketch>, bind = {}): PresetSubject => ({
  name: 'case',
  preset: (options: Record<string, unknown> = {}): Preset => ({
    plugins: Object.fromEntries(
      Object.entries(sketches).map(([id, each]) => [id, { use: factory(each), options, bind }]),
    ),
  }),
});

const OF_PLUGINS = Object.keys(PRESET_CHECKS).filter((check) => check !== 'options');

describe.each(OF_PLUGINS)('of a preset, the check of %s', (check) => {
  test.each(Object.keys(BROKEN[check]!))('finds that %s', async (fault) => {
    const { call } = tfl.layers.Layer.prototype;
    const run = PRESET_CHECKS[check]!(presetOf({ sound: {}, broken: BROKEN[check]![fault]! }));
    await expect(run).rejects.toBeInstanceOf(ConformanceError);
    tfl.layers.Layer.prototype.call = call;
  });
});

describe('of a preset, the check of options', () => {
  const check = (preset: PresetSubject) => PRESET_CHECKS['options']!(preset);
  const modules = { mine: { plugin: factory({ options: z.strictObject({ n: z.any() }) }) } };
  const written = (options: object): PresetSubject => ({
    name: 'case',
    preset: (more: object = {}) => ({
      extends: { plugins: { subject: { use: 'mine#plugin', options: { n: 1 } } } },
      plugins: { subject: { options: { ...options, ...more } } },
    }),
    session: { modules },
  });

  test('passes sound presets, of functions and of names', async () => {
    await check(presetOf({ subject: {} }));
    await check(written({ n: 2 }));
  });

  test('finds that unknown options are swallowed', () =>
    expect(check(presetOf({ subject: { options: z.object({}) } }))).rejects.toThrow(
      /^options: an/,
    ));

  test('finds that JSON changes what the preset means', () =>
    expect(check(written({ n: undefined }))).rejects.toThrow(/^options: .* through JSON/));
});

test('a watched preset keeps what it binds, and the fault is laid to its plugin', async () => {
  const step = createToken<number>('step');
  const needs: Sketch = {
    apply(ctx) {
      ctx.needs(step);
      ctx.hooks.beforeStep.tap(() => void (ctx.get(step) === 1 && Math.random()));
    },
  };
  const preset = presetOf({ needs }, { step: { use: () => 1 } });
  await expect(PRESET_CHECKS['declared effects']!(preset)).rejects.toThrow(
    "the beforeStep tap of 'needs' draws from Math.random",
  );
});

const problemOf = (check: string, sketch: Sketch) =>
  CHECKS[check]!(subject(sketch)).then(
    () => undefined,
    (error: Error) => error.message,
  );

describe('leaks are blamed on', () => {
  test.each<[string, Sketch, RegExp]>([
    [
      'the tap that adds tensors',
      {
        effects: { loss: 'add' },
        apply(ctx) {
          ctx.hooks.loss.tap(({ terms, mean, outputs }) => {
            const size = tf.square(tf.sum(outputs['logits']!, -1)) as tf.Tensor1D;
            terms.add('size', mean(size), { weight: 0.01 });
          });
          ctx.hooks.afterStep.tap(() => void tf.scalar(1));
        },
      },
      /^leaks: 6 tensors .* added by tap: afterStep of 'subject' \+6\. Wrap .* tf\.tidy/,
    ],
    [
      'the taps of the objective that keep them',
      {
        effects: { loss: 'add' },
        apply: (ctx) =>
          ctx.hooks.loss.tap(({ outputs }) => void tf.keep(tf.clone(outputs['logits']!))),
      },
      /added by tap: loss of 'subject' \+\d+\. .* without tf\.keep/,
    ],
    [
      'no tap, where none adds any',
      {
        apply: (ctx) =>
          ctx.hooks.afterApply.tap(() => void Promise.resolve().then(() => tf.scalar(1))),
      },
      /no tap added any while it ran\. Await/,
    ],
  ])('%s', async (_, sketch, message) => {
    expect(await problemOf('leaks', sketch)).toMatch(message);
  });
});

test('a plugin that fails alone is not said to fail beside its twin', async () => {
  const problem = await problemOf('pairing', BROKEN['trains alone']!['a tap throws']!);
  expect(problem).toMatch(/^trains alone: .*\[plugin subject\] afterStep at step 1: broken/);
});

test('keyed streams depend on their key alone', () => {
  const draws = (...key: (string | number)[]) => Array.from({ length: 4 }, keyedRng(...key));
  expect(draws(0, 'a')).toEqual(draws(0, 'a'));
  expect(draws(0, 'a')).not.toEqual(draws(0, 'b'));
  expect(draws('1', 2)).not.toEqual(draws(1, '2'));
});
