import type { BackendInfo, UseBackendOptions } from '@espalier/backend';
import { EspalierError, isPlain, parseOptions } from '@espalier/base';
import type { Source } from '@espalier/data';
import type { Loss } from '@espalier/losses';
import type { GradientTransform } from '@espalier/optim';
import { z } from 'zod';
import type { CheckpointOptions } from './checkpoint/checkpoints.js';
import { isTransform } from './loop/run-optimizer.js';
import type { Plugin } from './plugins/plugin.js';
import type { PresetSource, ResolveOptions } from './preset/index.js';
import type { Semantics } from './settings.js';
import type { ModelSource } from './structure/model-source.js';

/** All that defines a run. */
export interface SessionConfig extends ResolveOptions {
  /**
   * The model, or a function that makes it. Whose it is:
   * - A function makes the run's own model: initial weights come from `seed`, and `dispose` frees it.
   * - Weights that existed before the function was called (`() => trained`, or a new head on layers of
   *   a trained model) are copied, with the whole model: training, `transform` and `dispose` leave them
   *   as they are; the trained model is `session.model`, or a copy by `session.export()`.
   * - A model that is given itself stays the caller's and is never disposed. It is trained in place. Where
   *   plugins change the structure (`byot`, `transform`), `session.model` is another model, which holds the
   *   same variables: layers that stay train in both. A layer that a plugin replaces is, in the caller's
   *   model, as it was last.
   */
  readonly model: ModelSource;
  /**
   * Fixes which of the model's parameters train, by path; default: the flags `trainable` of its layers and
   * weights, followed at each step. It is asked once, when the session is created. Flags of layers and models
   * do nothing then; a weight that is frozen itself does not train as long as it is (a layer sets the flags of
   * its own weights, a model those of its layers, and none further in). `compile` of TensorFlow.js does
   * the same: `model.collectedTrainableWeights`. Parameters that plugins add follow their flags, and what plugins
   * freeze does not train.
   *
   * @example
   * trainable: (path) => path.startsWith('head/')
   */
  readonly trainable?: (path: string) => boolean;
  /** The task's loss, or one per output by name. */
  readonly loss: Loss | Readonly<Record<string, Loss>>;
  /** One transform, or one per parameter group. */
  readonly optimizer: GradientTransform | Readonly<Record<string, GradientTransform>>;
  readonly plugins?: readonly Plugin[];
  /** Plugins as data; instead of `plugins`: a preset, or `'@scope/pkg#export'` where one is. */
  readonly preset?: PresetSource;
  readonly train?: Source;
  readonly validation?: Source;
  /**
   * `fit` evaluates the validation data every so many epochs, and after its last one; default 1. Other epochs
   * have no numbers `val/…`.
   */
  readonly validateEvery?: number;
  /** Default `espalier`; with `tfjs`, a run computes what `LayersModel.fit` does. */
  readonly semantics?: Semantics;
  /** Default 0. */
  readonly seed?: number;
  /** Micro-batches per optimizer step; default 1. */
  readonly accumulate?: number;
  /** Steps between `step` events; default 50. */
  readonly logInterval?: number;
  readonly checkpoint?: CheckpointOptions;
  /** Where plugins put files of this run, as `ctx.folder`. */
  readonly folder?: string;
  /** Makes a path of a plugin's options one that works from here; default: it stays as it is. */
  readonly resolvePath?: (path: string) => string;
  /**
   * The backend in use, or how to choose one; default: the current one, else the best there is. In Node a
   * cpu backend that TensorFlow.js took by itself gives way to a faster one (`keepBackend`).
   */
  readonly backend?: BackendInfo | UseBackendOptions;
}

const isLoss = (value: unknown) => typeof (value as Partial<Loss>)?.perExample === 'function';

/** One, or a record of them. */
function oneOrMore(is: (value: unknown) => boolean, message: string) {
  const isRecord = (value: unknown) =>
    isPlain(value) && Object.keys(value).length > 0 && Object.values(value).every(is);
  return z.custom((value) => is(value) || isRecord(value), message);
}

function having(method: string, message: string) {
  const has = (value: unknown) =>
    typeof (value as Record<string, unknown> | null | undefined)?.[method] === 'function';
  return z.custom(has, message);
}

const count = z.int().positive().optional();
const anything = z.unknown().optional();
const isFunction = z.custom((value) => typeof value === 'function', 'must be a function');
const sourceShape = having('iterate', 'must be a source, e.g. arraySource({ … })');
const configShape = z.strictObject({
  model: anything,
  trainable: isFunction.optional(),
  loss: oneOrMore(isLoss, 'must be a loss, e.g. crossEntropy(), or one per output by name'),
  optimizer: oneOrMore(
    isTransform,
    'must be an optimizer, e.g. adam(), or one per group (one of tfjs: fromTfOptimizer(() => …))',
  ),
  plugins: z.array(z.unknown()).optional(),
  preset: anything,
  overrides: anything,
  load: anything,
  modules: anything,
  train: sourceShape.optional(),
  validation: sourceShape.optional(),
  validateEvery: count,
  semantics: z.enum(['espalier', 'tfjs']).optional(),
  seed: z.int().optional(),
  accumulate: count,
  logInterval: count,
  checkpoint: z
    .strictObject({
      store: having('write', 'must be a store, e.g. fileStore(…)'),
      everySteps: count,
      everyEpochs: count,
      keep: count,
    })
    .optional(),
  folder: z.string().min(1).optional(),
  resolvePath: isFunction.optional(),
  backend: z.looseObject({}).optional(),
});

/**
 * Refuses what cannot be a configuration, naming the field.
 *
 * @throws EspalierError `options/invalid`, `session/option`.
 */
export function checkConfig(config: SessionConfig): void {
  parseOptions('createSession', configShape, config);
  if (!config.plugins || !config.preset) return;
  throw new EspalierError('session/option', {
    problem: 'a session takes plugins or a preset, not both',
    fix: 'Put the plugins into a preset that extends yours: { extends: preset, plugins: { id: { use: factory, options } } }.',
  });
}

/** Refuses what is no source. */
export function checkSource(owner: string, source: Source): void {
  parseOptions(owner, sourceShape, source);
}
