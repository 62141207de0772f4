import type { Config, Reference } from '@espalier/config';
import type { PluginEntry, PresetSource } from '@espalier/core';

/** What one row changes about the base. Everything in it is data: code is named, as `'./file.ts#export'`. */
export interface Change {
  /** Plugins of the base to leave out, by id. */
  readonly drop?: string | readonly string[];
  /**
   * By plugin id: another factory, or another entry. By token: another component.
   *
   * @example { swap: { 'soft-targets': { use: './teacher.ts#deepest' } } }
   */
  readonly swap?: Readonly<Record<string, string | PluginEntry | Reference>>;
  /** By dotted path of the configuration: `{ 'plugins.kd.options.temperature': 3, epochs: 20 }`. */
  readonly set?: Readonly<Record<string, unknown>>;
  /** Another preset in place of the base's. */
  readonly preset?: PresetSource;
}

/** One change, or several to choose from, by name. */
export type Factor = Change | Readonly<Record<string, Change>>;

/** What a metric is and which way it gets better. */
export interface Metric {
  /** As the validation data's metrics name it: `accuracy`, `loss`, `exit1/accuracy`. */
  readonly name: string;
  /** Default: `min` where the name ends in `loss`, `error` or `perplexity`; else `max`. */
  readonly direction?: 'max' | 'min';
}

/** A range to draw a value of the configuration from. */
export type Range =
  | { readonly low: number; readonly high: number; readonly scale?: 'linear' | 'log' }
  | { readonly choices: readonly unknown[] };

/** Random search on the validation data, the same draws for every row, the base included. */
export interface Tuning {
  /** Draws of each row. */
  readonly trials: number;
  /** By dotted path of the configuration. */
  readonly space: Readonly<Record<string, Range>>;
  /**
   * Seeds of each draw, or how many: the draw with the best mean is taken. None may be a seed of the study.
   * Default 1; a number counts on from the largest seed of the study.
   */
  readonly seeds?: number | readonly number[];
  /** Epochs of these trials; schedules of the optimizer and epochs of stages become shorter likewise. */
  readonly epochs?: number;
  /** The same as a share of the row's own epochs: 0.5 for half as many. */
  readonly share?: number;
}

/** What a trial may use; one that uses more is stopped and is a failed row. */
export interface Limits {
  readonly seconds?: number;
  /** Resident memory of its process, in MB (10⁶ bytes). */
  readonly megabytes?: number;
}

/** A comparison of two rows: `{ of: 'BYOT', minus: 'deeply supervised' }`. */
export interface Contrast {
  /** Name of a row: as the plan prints it, `base`, or `equal compute`. */
  readonly of: string;
  readonly minus: string;
  /** Metrics of the study; default: the primary one. */
  readonly metric?: string | readonly string[];
}

/** An ablation study: a base, the changes of each row, the seeds, and the reported metrics. */
export interface Study {
  /** Names it in reports; default: the name of its file. */
  readonly name?: string;
  /** Configuration of the base row, or the file that holds it. `data.validation` is mandatory. */
  readonly base: Config | string;
  /** What rows change, by name. */
  readonly factors?: Readonly<Record<string, Factor>>;
  /**
   * `one-at-a-time` (the default): the base, then one row for each change. `grid`: every combination.
   * Or rows by name, each with the level that it takes of some factors (`true` where there is one only).
   */
  readonly design?:
    'one-at-a-time' | 'grid' | Readonly<Record<string, Readonly<Record<string, string | true>>>>;
  /** The number of seeds, counted from 1, or the seeds. Every row runs with every seed: runs are paired by seed. */
  readonly seeds: number | readonly number[];
  /** The metric that is compared and tuned for; choose it before the study runs. */
  readonly primary: string | Metric;
  /** Further metrics to report. */
  readonly metrics?: readonly (string | Metric)[];
  /**
   * Families of comparisons, by name; p values are corrected within each (Holm). Default: one family, each
   * row minus the base.
   */
  readonly contrasts?: Readonly<Record<string, readonly Contrast[]>>;
  /**
   * The smallest difference that matters, in the unit of the primary metric (0.005: half a point of
   * accuracy), or by metric. The report says of each comparison whether its interval excludes such an effect.
   */
  readonly smallestEffect?: number | Readonly<Record<string, number>>;
  readonly tune?: Tuning;
  /**
   * The option of the training data that each trial sets to its seed: `data.train.options.draw`. Every seed
   * then trains on a sample of its own, the same in all rows, and intervals speak of other samples too.
   */
  readonly resample?: string;
  /**
   * A row more: the base, trained for as many epochs as take the time of the costliest row. The
   * schedules of its optimizer are stretched likewise. `true` and `seconds`: by the clock;
   * `cpuSeconds`: by the processor's time.
   */
  readonly equalCompute?: boolean | 'seconds' | 'cpuSeconds';
  readonly limits?: Limits;
  /**
   * When trials compute the metrics of the test data. `after-all` (the default): when `report --test` asks for
   * them. `after-each-trial`: when a trial ends; they stay sealed until `report --test`, which needs no
   * checkpoints then: for studies that move from machine to machine.
   */
  readonly test?: 'after-all' | 'after-each-trial';
  /** Folder of the results, relative to the study's file; default: `runs/<name>`. */
  readonly dir?: string;
}

/**
 * Types a study; gives it back as it is.
 *
 * @example
 * // study.ts
 * export default defineStudy({
 *   base: './espalier.config.json',
 *   factors: {
 *     method: {
 *       'deeply supervised': { preset: '@espalier/preset-baselines#deeplySupervised' },
 *       BYOT: { preset: '@espalier/preset-baselines#byot' },
 *     },
 *   },
 *   seeds: 10,
 *   primary: 'accuracy',
 * });
 */
export function defineStudy(study: Study): Study {
  return study;
}
