import { EspalierError, parseOptions } from '@espalier/base';
import type { KeyedRng } from '@espalier/base';
import type { RawBatch } from '@espalier/data';
import type { Loss } from '@espalier/losses';
import type { ModelEdit, ModelView } from '@espalier/model';
import type { GradientTransform } from '@espalier/optim';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { z } from 'zod';
import type { input, output, ZodType } from 'zod';
import type { Batch, NamedTensors } from '../batch/batch.js';
import type { Clock } from '../clock.js';
import { HOOKS } from '../hooks/hooks.js';
import type { HookName, TapPoint } from '../hooks/hooks.js';
import type { Order } from '../hooks/order.js';
import type { AuxiliaryNetwork, Gradients, ObjectiveOptions } from '../objective/options.js';
import type { Effects } from './effects.js';
import type { Token } from './tokens.js';

/** The version of the contract between core and plugins; a plugin for another one is refused. */
export const API_VERSION = 1;

/** What a plugin keeps over a checkpoint: plain JSON, and tensors (`load` clones what it keeps). */
export interface SavedState {
  readonly json?: unknown;
  readonly tensors?: NamedTensors;
}

/** Which parameters, and at which values. */
export interface ParameterChoice {
  /** Only those that train; default all. */
  readonly trainable?: boolean;
  /** As evaluations see them (`ctx.evaluateAt`); default as they are in training. */
  readonly evaluated?: boolean;
}

/** How a plugin's state goes into a checkpoint and comes back. */
export interface StateContract {
  /** Version of the format that `save` writes. */
  readonly version: number;
  save(): SavedState;
  /** Takes the state over; tensors are disposed by the caller afterwards, so clone to keep. */
  load(state: SavedState): void;
  /** Turns a state of an older version into one of this version. Without it, old ones are refused. */
  migrate?(state: SavedState, from: number): SavedState;
}

/** The resource kinds that effects `E` name: `'targets:logits'` is of kind `targets`. */
type KindsOf<E extends Effects> = keyof E extends infer R
  ? R extends `${infer K}:${string}`
    ? K
    : R
  : never;

type Guarded = {
  [H in HookName]: (typeof HOOKS)[H] extends { needs: string } ? H : never;
}[HookName];
type NeedOf<H extends Guarded> = (typeof HOOKS)[H] extends { needs: infer N } ? N : never;
type Opened<E extends Effects> =
  | Exclude<HookName, Guarded>
  | { [H in Guarded]: NeedOf<H> extends KindsOf<E> ? H : never }[Guarded];

/** The hooks that a plugin with effects `E` may tap. */
export type TapsFor<E extends Effects> = { readonly [H in Opened<E>]: TapPoint<H> };

/** What only plugins with a `structure` effect may do to the model. */
export interface StructureAccess {
  /**
   * Edits the model's graph; at setup, or inside a `transform` tap. `detail`, plain JSON, goes into
   * the edit log, which checkpoints, `inspect()` and artifacts carry.
   */
  edit(change: ModelEdit, detail?: unknown): void;
  /**
   * Adds a network of the plugin's own that trains along but is no part of the model: it is
   * checkpointed and resumed, and never exported. `make` is called when every plugin has applied, so
   * it may ask for services and features; it is too late then for taps, services and edits. Its
   * parameters are `<plugin id>:<layer>/<weight>`, in the group `<plugin id>` unless named otherwise.
   * The network is the run's; weights that existed before are copied, as for the run's own model.
   */
  addNetwork(make: () => LayersModel, options?: { readonly group?: string }): AuxiliaryNetwork;
}

/** All that a plugin gets. What it may touch follows from the effects that it declared. */
export type PluginContext<E extends Effects = Effects> = BaseContext<E> &
  ('structure' extends KindsOf<E> ? StructureAccess : unknown);

/** What every plugin gets, whatever it declared. */
export interface BaseContext<E extends Effects> {
  /** The plugin's id in this run. */
  readonly id: string;
  readonly hooks: TapsFor<E>;
  /** Read-only view of the model as edited so far. */
  readonly model: ModelView;
  /** The losses of the run, by output of the user's model; see `classIds` of each. */
  readonly losses: Readonly<Record<string, Loss>>;
  /** The live clocks. */
  readonly clock: Clock;
  /**
   * The run's own folder, for files that the plugin writes: that of its checkpoints, or a trial's.
   * Undefined where the run has none. It need not exist yet.
   */
  readonly folder: string | undefined;
  /** A path of the plugin's options, which goes by the configuration, as one that can be read. */
  resolvePath(path: string): string;
  /**
   * A stream keyed by this plugin and the purpose. In an evaluation of the objective (`targets`,
   * `loss`) also by the batch, and by the evaluation where it asked for fresh draws; elsewhere by
   * the step: in a `batch` tap, put `batch.key` into the purpose.
   */
  random(purpose: string): KeyedRng;
  /** Asks for a layer's output, of several the first, as `features[layer]` in every evaluation. */
  requestFeatures(layers: readonly string[]): void;
  /** Puts parameters whose path satisfies `belongs` into a group (for `trains` and optimizers). */
  group(name: string, belongs: (path: string) => boolean): void;
  /** Binds a service to a token; made once, when first asked for. */
  provide<T>(token: Token<T>, make: () => T): void;
  /** Asks for `next`, the first batch of the next step, in `beforeStep`. */
  lookAhead(): void;
  /** Says that the run must provide a service: without one, no session is created. */
  needs(token: Token<unknown>): void;
  /** Gets a service; inside taps and services, not during `apply` (others may still provide it). */
  get<T>(token: Token<T>): T;
  has(token: Token<unknown>): boolean;
  /** Checks and names a batch of the plugin's own data. `key` names its random draws. */
  batch(raw: RawBatch, key: Batch['key']): Promise<Batch>;
  /** The whole loss of the run at any parameters; see {@link ObjectiveOptions}. Synchronous. */
  objective(batch: Batch, options?: ObjectiveOptions): Scalar;
  /** Loss and gradients by path, at any parameters. Synchronous; the caller owns the tensors. */
  gradients(batch: Batch, options?: ObjectiveOptions): Gradients;
  /**
   * The gradients of the window of the step under way, at any parameters (default: the current ones):
   * every micro-batch by its share of the weight, with the draws of the step itself. In taps from
   * `beforeStep` to `afterStep`. Synchronous; in a `gradients` tap the trainer frees the tensors, elsewhere
   * the caller owns them.
   *
   * @throws EspalierError `plugin/no-window`.
   */
  windowGradients(params?: NamedTensors): NamedTensors;
  /**
   * Current values by path, of all parameters or of those that train. The tensors are the live
   * parameters: never dispose them.
   */
  parameters(which?: ParameterChoice): NamedTensors;
  /**
   * Sets parameters by path (`weights:…` effect). Values are copied, bit for bit; the caller keeps its
   * tensors. With `update: true` an optimizer of the plugin's own made them, and the layers'
   * constraints act on them as on the run's own updates.
   */
  assign(values: Readonly<Record<string, Tensor>>, how?: { readonly update?: boolean }): void;
  /**
   * Multiplies the updates of the run's optimizer by `factor` in every later step, whatever the optimizer is
   * (`updates` effect); plugins' own optimizers keep their rates. Each plugin has one factor, 1 until it sets another; those of all plugins are
   * multiplied. Keep yours with `keepState` and set it again in `load`.
   *
   * @throws EspalierError `plugin/update-scale` for what is not finite or not above 0.
   */
  scaleUpdates(factor: number): void;
  /**
   * Lets evaluations use other values in place of parameters, by path (`evaluation` effect); paths that are
   * not among them keep their own. The plugin keeps the tensors. Training and `predict` use the live
   * parameters. In `apply`; `values` is called for each batch.
   */
  evaluateAt(values: () => NamedTensors): void;
  /**
   * Gives parameters an optimizer of the plugin's own; once, in `apply`. The run's optimizer leaves them alone:
   * no state, no weight decay. The gradients that the loss gives them go through `transform` in each step of the
   * run, and through {@link OwnOptimizer.step} between steps. An optimizer that the user gives to
   * `createSession` for their group (another than `model`) takes its place. The parameters are those of the
   * plugin's networks, or the plugin declares an effect on `weights:<path>`.
   *
   * @param patterns Paths; `*` stands for anything.
   * @throws EspalierError `plugin/optimizer`; when the session is created: `optim/no-parameters`,
   * `optim/two-owners`, `optim/several-groups`, `effects/undeclared`.
   * @example
   * const own = ctx.optimizeWith(['label-generator:*'], adam({ learningRate: 1e-3 }));
   */
  optimizeWith(patterns: readonly string[], transform: GradientTransform): OwnOptimizer;
  /**
   * The optimizer that a plugin has for parameters; undefined where the run's own optimizes them. A plugin that
   * makes steps with another's declares an effect on `weights:<path>`.
   *
   * @throws EspalierError `optim/split` where they do not all have the same one; `effects/undeclared`.
   */
  optimizerOf(paths: readonly string[]): OwnOptimizer | undefined;
  /**
   * The optimizers of the run as they are at this moment, as one transform, for virtual steps: `init` gives
   * the live state (never dispose it), its step 0 is the next step of the run, its updates and learning rates
   * have the scale of {@link scaleUpdates}. Nothing of the run moves.
   */
  runOptimizer(): GradientTransform;
  /** Declares the plugin's state; exactly one of this and `stateless: true` is required. */
  keepState(contract: StateContract): void;
  /** Undoes what `apply` did; runs always, in reverse plugin order. */
  onTeardown(undo: () => void | Promise<void>): void;
  /**
   * Stops the run: the fit ends after this step or epoch (in `epochStart`: before its first step),
   * and the run stays stopped, resumed too, until a transform begins or a fit is told to go on.
   */
  stop(reason: string): void;
  /** A message to the user, as a telemetry event. */
  warn(message: string): void;
  /** Something to know, as a telemetry event `report`: `data` is plain JSON. */
  report(what: string, data: unknown): void;
  /**
   * Says how far something long has come, as a telemetry event. It throws where a signal ends the
   * transform: do not catch that, and edit the model at the end.
   *
   * @throws EspalierError `session/aborted`.
   */
  progress(what: string, done: number, total: number): void;
}

/**
 * An optimizer that a plugin has for parameters of its own, with its own state and count of steps. Both are in
 * checkpoints.
 */
export interface OwnOptimizer {
  /** The plugin that has it. */
  readonly plugin: string;
  /** Name of its transform; of the user's, where `createSession` has one for the parameters' group. */
  readonly name: string;
  /** Paths of the parameters that it moves: of those that train. */
  readonly paths: readonly string[];
  /** Steps that it has made, in steps of the run and between them. */
  readonly steps: number;
  /**
   * Makes one step more, outside of a step's own update: for gradients that another loss gave, by path. Layers'
   * constraints act on it. Whether gradients are finite is the caller's to check; the caller keeps them.
   *
   * @throws EspalierError `optim/not-own` for a path that it does not move.
   */
  step(gradients: NamedTensors): void;
  /**
   * Begins anew, as before the first step: for gradients of another size, which moments of those before would
   * hold back.
   */
  restart(): void;
}

/** A plugin ready for a run. Made by the factory that {@link definePlugin} returns. */
export interface Plugin {
  readonly id: string;
  readonly version: string;
  readonly apiVersion: number;
  readonly effects: Effects;
  readonly order: Order;
  readonly stateless: boolean;
  /** As its {@link PluginDefinition} has it. */
  readonly watches?: readonly HookName[];
  readonly options: unknown;
  /** As its {@link PluginDefinition} has it. */
  readonly exportedAs?: string;
  apply(context: PluginContext): void | Promise<void>;
}

/** What an author writes. */
export interface PluginDefinition<S extends ZodType, E extends Effects> {
  /** Kebab-case, unique in a run; users order and override by it. */
  readonly id: string;
  /** The plugin package's version; goes into manifests. */
  readonly version: string;
  /**
   * `'@scope/pkg#export'`: where the factory can be imported. With it, manifests name the plugin
   * whether a run got the factory itself or its name, and stay portable; without it they say `inline`.
   */
  readonly exportedAs?: string;
  /** The contract it was written for; default: this core's. */
  readonly apiVersion?: number;
  /** A zod schema with defaults. Use `z.strictObject` so that typos are caught. */
  readonly options: S;
  readonly effects?: E;
  readonly order?: Order;
  /** `true`: nothing to save. Otherwise `apply` must call `ctx.keepState`. */
  readonly stateless?: boolean;
  /**
   * Hooks that it taps only to watch and to tell of it, a warning for example: training is the same without
   * them. `session.loss`, which does not fire all hooks, takes a plugin that taps no others of those.
   */
  readonly watches?: readonly HookName[];
  apply(context: PluginContext<E>, options: output<S>): void | Promise<void>;
}

/** Makes plugins from options; the public face of a plugin package. */
export interface PluginFactory<S extends ZodType = ZodType, E extends Effects = Effects> {
  (options?: input<S>, instance?: { readonly id?: string }): Plugin;
  readonly definition: Readonly<PluginDefinition<S, E>>;
  /** In JSON a factory is its name, so that a preset which holds it can be written and read again. */
  toJSON(): string | undefined;
}

/**
 * Defines a plugin and returns its factory.
 *
 * @throws EspalierError `plugin/definition`; `plugin/options` without a schema; `options/invalid` from the factory, naming
 * plugin and field.
 * @example
 * export const confidencePenalty = definePlugin({
 *   id: 'confidence-penalty',
 *   version: '1.0.0',
 *   options: z.strictObject({ weight: z.number().nonnegative().default(0.1) }),
 *   effects: { loss: 'add' },
 *   stateless: true,
 *   apply(ctx, { weight }) {
 *     ctx.hooks.loss.tap(({ outputs, terms, mean }) => {
 *       const logp = tf.logSoftmax(outputs['logits']!);
 *       terms.add('negentropy', mean(tf.sum(tf.mul(tf.exp(logp), logp), -1)), { weight });
 *     });
 *   },
 * });
 */
export function definePlugin<S extends ZodType, const E extends Effects = Record<never, never>>(
  definition: PluginDefinition<S, E>,
): PluginFactory<S, E> {
  checkDefinition(definition);
  const factory = (options?: input<S>, instance: { readonly id?: string } = {}): Plugin => {
    const id = instance.id ?? definition.id;
    const parsed = parseOptions(`plugin '${id}'`, definition.options, options ?? {});
    return {
      id,
      version: definition.version,
      apiVersion: definition.apiVersion ?? API_VERSION,
      effects: definition.effects ?? {},
      order: definition.order ?? {},
      stateless: definition.stateless ?? false,
      options: parsed,
      ...(definition.watches && { watches: definition.watches }),
      ...(definition.exportedAs !== undefined && { exportedAs: definition.exportedAs }),
      apply: (context) => definition.apply(context as unknown as PluginContext<E>, parsed),
    };
  };
  return Object.assign(factory, { definition, toJSON: () => definition.exportedAs });
}

function checkDefinition(definition: { readonly id: string; readonly options: unknown }) {
  const { id, options, apply } = (definition ?? {}) as Partial<Plugin>;
  if (typeof id !== 'string' || typeof apply !== 'function') {
    throw new EspalierError('plugin/definition', {
      problem: 'definePlugin takes a definition with an id and a function apply',
      received: definition,
      fix: "Write definePlugin({ id: 'my-plugin', version: '1.0.0', options: z.strictObject({ … }), apply(ctx, options) { … } }).",
    });
  }
  if (typeof (options as Partial<ZodType> | undefined)?.safeParse === 'function') return;
  throw new EspalierError('plugin/options', {
    problem: `plugin '${id}' is defined without a schema of its options`,
    received: options,
    fix: 'Give options a zod schema; for a plugin without options: z.strictObject({}).',
  });
}

const ids = z.array(z.string()).optional();
const pluginShape = z.looseObject({
  id: z
    .string()
    .regex(
      /^(?!(task|regularization)$)[\w.-]+$/,
      "must be kebab-case, and not 'task' or 'regularization'",
    ),
  effects: z.record(z.string(), z.enum(['add', 'modify', 'replace', 'own'])),
  order: z.strictObject({ before: ids, after: ids, requires: ids, optional: ids }),
  watches: z.array(z.enum(Object.keys(HOOKS))).optional(),
  exportedAs: z
    .string()
    .regex(/^[^#\s]+(#[^#\s]+)?$/, "must be '<package>#<export>'")
    .optional(),
});

/** Refuses what is no plugin, plugins for another API version, and two of one id. */
export function checkPlugins(plugins: readonly Plugin[]): void {
  const seen = new Set<string>();
  for (const plugin of plugins) {
    if (typeof plugin?.apply !== 'function' || typeof plugin.id !== 'string') {
      throw new EspalierError('plugin/not-a-plugin', {
        problem: 'the plugins list holds something that is not a plugin',
        received: plugin,
        fix: 'Call the factory: plugins: [multiExit({ … })].',
      });
    }
    const { id, version, apiVersion } = plugin;
    if (apiVersion !== API_VERSION) {
      throw new EspalierError('plugin/api-version', {
        problem: `plugin '${id}' ${version} is written for plugin API ${apiVersion}; this core speaks ${API_VERSION}`,
        received: apiVersion,
        fix: 'Install a release of the plugin made for this core.',
      });
    }
    parseOptions(`plugin '${id}'`, pluginShape, plugin);
    if (seen.has(id)) {
      throw new EspalierError('plugin/duplicate', {
        problem: `two plugins have the id '${id}'`,
        fix: `Give one another id: factory(options, { id: '${id}-2' }).`,
      });
    }
    seen.add(id);
  }
}
