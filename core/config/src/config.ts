import type { BackendName } from '@espalier/backend';
import type {
  Loss,
  PluginEntries,
  PresetSource,
  SessionConfig,
  Source,
  Stage,
  GradientTransform,
} from '@espalier/core';

/** A name and its options: `{ use: './model.js#cnn', options: { width: 16 } }`. */
export interface Reference {
  /** A built-in name, or a module (relative to the configuration) and its export. */
  readonly use: string;
  readonly options?: Readonly<Record<string, unknown>>;
}

/** A source, a function that makes one, or the name of either. */
export type SourceConfig =
  | Source
  | ((options: { readonly batchSize?: number }) => Source | Promise<Source>)
  | Reference
  | string;

/** An optimizer by name. A rate in its options may be a schedule: `{ schedule: 'cosine', … }`. */
export interface OptimizerReference extends Reference {
  /** Clips the gradients first. */
  readonly clip?: { readonly globalNorm?: number; readonly norm?: number; readonly value?: number };
}

/** A training run as a configuration. JSON has references where TypeScript has functions. */
export interface Config {
  readonly $schema?: string;
  readonly model: SessionConfig['model'] | Reference | string;
  readonly data?: {
    readonly train?: SourceConfig;
    /** Evaluated after every epoch, or as `validateEvery` says. */
    readonly validation?: SourceConfig;
    /** Evaluated by `espalier eval`; default: the validation data. */
    readonly test?: SourceConfig;
  };
  /** Passed to the functions under `data`. */
  readonly batchSize?: number;
  readonly preset?: PresetSource;
  /** By id: additions to the preset, changes, or `false` to remove one. */
  readonly plugins?: PluginEntries;
  /** `cross-entropy`, `binary-cross-entropy`, `mean-squared-error`; in code, also one per output. */
  readonly loss: SessionConfig['loss'] | Loss | Reference | string;
  /** `sgd`, `adam`, `adamw`, `rmsprop` as in PyTorch, `tfjs.adam` … as in tfjs; in code, also one transform per parameter group. */
  readonly optimizer: SessionConfig['optimizer'] | GradientTransform | OptimizerReference | string;
  /** Epochs in all, those of a resumed run included: short for one stage. To train, this or `stages`. */
  readonly epochs?: number;
  /**
   * Training and transforms, in order: `[{ epochs: 3 }, { transform: ['quantizer'] }]`; `true` is
   * every plugin that has a transform.
   */
  readonly stages?: readonly Stage[];
  /** Epochs from one validation to the next; the last is always one. Default 1. */
  readonly validateEvery?: number;
  /** Micro-batches per optimizer step; default 1. */
  readonly accumulate?: number;
  /** Default `espalier`; with `tfjs`, a run computes what `LayersModel.fit` does. */
  readonly semantics?: SessionConfig['semantics'];
  /** Default 0. */
  readonly seed?: number;
  readonly backend?: { readonly prefer?: readonly BackendName[]; readonly threads?: number };
  readonly checkpoint?: {
    /** Relative to the configuration. */
    readonly dir: string;
    readonly everySteps?: number;
    /** Default 1. */
    readonly everyEpochs?: number;
    /** How many to keep; default 2. */
    readonly keep?: number;
  };
  readonly log?: {
    /** Steps between two reports; default 50. */
    readonly interval?: number;
    /** File for telemetry, one JSON object a line, relative to the configuration. */
    readonly jsonl?: string;
  };
}

/**
 * Gives a configuration its type; returns it unchanged.
 *
 * @example
 * // espalier.config.ts
 * export default defineConfig({
 *   model: () => tf.sequential({ layers: [tf.layers.dense({ units: 3, inputShape: [4] })] }),
 *   data: { train: ({ batchSize = 32 }) => arraySource({ x, y, batchSize }) },
 *   loss: 'cross-entropy',
 *   optimizer: { use: 'adam', options: { learningRate: 1e-3 } },
 *   epochs: 10,
 *   checkpoint: { dir: 'runs/iris' },
 * });
 */
export function defineConfig(config: Config): Config {
  return config;
}
