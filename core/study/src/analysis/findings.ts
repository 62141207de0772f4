import type { Manifest } from '@espalier/core';
import type { ReportedMetric } from '../definition/load-study.js';
import type { Environment } from '../plan/environment.js';
import type { PlannedBackend } from '../plan/planned-row.js';
import type { RecordedRow } from '../plan/study-plan.js';
import type { Equivalence } from '../statistics/equivalence.js';
import type { PairedDifference } from '../statistics/paired-difference.js';
import type { Summary } from '../statistics/summary.js';
import type { TestReading, TrialCost, TrialRecord } from '../store/records.js';

/** Which data figures are of. */
export type Split = 'validation' | 'test';

/** A row's values of one metric by seed; null where a trial has none. */
export type BySeed = ReadonlyMap<number, number | null>;

/** A metric in a row. */
export interface MetricFinding {
  readonly metric: ReportedMetric;
  readonly values: BySeed;
  /** The same of the validation data, where `values` are of the test data; of a metric of training, `values`. */
  readonly validation: BySeed;
  /** Null if no trial has a value. */
  readonly summary: Summary | null;
  readonly comparison: Comparison;
}

/** What a row's metric is against the base's. */
export type Comparison =
  | { readonly kind: 'base' }
  /** Not compared: it would mislead. */
  | { readonly kind: 'refused'; readonly reasons: readonly string[] }
  | {
      readonly kind: 'paired';
      /** Row − base, seed by seed. */
      readonly difference: PairedDifference;
      /** p after Holm's correction over its family; null for one pair, and where it belongs to no family. */
      readonly corrected: number | null;
      /** Whether a positive difference is an improvement. */
      readonly better: 'higher' | 'lower';
    };

/** A cost in a row: means over its trials, and against the base's. */
export interface CostFinding {
  readonly cost: keyof TrialCost;
  readonly mean: number | null;
  /** Mean over the base's mean; null without one of them. */
  readonly ratio: number | null;
  /** Difference of the primary metric per unit of added cost; null where none is added. */
  readonly effect: number | null;
}

/** A row and what was found of it. */
export interface RowFindings {
  readonly row: RecordedRow;
  readonly trials: ReadonlyMap<number, TrialRecord | undefined>;
  /** The primary one first. */
  readonly metrics: readonly MetricFinding[];
  readonly costs: readonly CostFinding[];
}

/** A contrast of the study. */
export interface ContrastFinding {
  readonly of: string;
  readonly minus: string;
  /** Index among the study's metrics. */
  readonly metric: number;
  readonly comparison: Comparison;
  /** Against the smallest effect of interest; null without one, or where there is no comparison. */
  readonly equivalence: Equivalence | null;
}

/** Contrasts whose p values are corrected together. */
export interface FamilyFindings {
  readonly name: string;
  readonly contrasts: readonly ContrastFinding[];
}

/** Where trials ran, and how many. */
export interface EnvironmentFinding extends Environment {
  readonly trials: number;
}

/** One draw of a row's tuning. */
export interface DrawFinding {
  /** What was drawn, as `--set` of the command line takes it. */
  readonly sets: readonly string[];
  /** Mean of the primary metric of the validation data over the tuning's seeds; null where one has no value. */
  readonly mean: number | null;
}

/** How a row was tuned. */
export interface TuningFinding {
  readonly row: string;
  readonly draws: readonly DrawFinding[];
  /** Index of the draw that the row runs with; null while it is not known. */
  readonly chosen: number | null;
  /** Seeds of each draw. */
  readonly seeds: readonly number[];
  readonly epochs: number;
  /** Trials that have ended; draws that are the same run share theirs. */
  readonly trials: number;
  /** All of these trials together, by the clock. */
  readonly seconds: number;
  /** The same of the processor; null where it is unknown. */
  readonly cpuSeconds: number | null;
}

/** All that a study has found so far. */
export interface Findings {
  readonly name: string;
  readonly backend: PlannedBackend;
  /** Of the base. */
  readonly manifest: Manifest;
  readonly seeds: readonly number[];
  readonly split: Split;
  readonly rows: readonly RowFindings[];
  /** Whether every trial has ended, and rows may be compared. */
  readonly complete: boolean;
  /** Tuning tries of each row; 0 without tuning. */
  readonly tries: number;
  /** Of each row; empty without tuning. */
  readonly tuning: readonly TuningFinding[];
  /** The option by which each seed draws its own training data, if the study resamples. */
  readonly resample?: string;
  /** Times that the test split was read; the honest number is 1. */
  readonly readings: readonly TestReading[];
  readonly environments: readonly EnvironmentFinding[];
  /** Empty: the rows minus the base are the one family. */
  readonly contrasts: readonly FamilyFindings[];
  /** By metric, in its unit. */
  readonly smallestEffects: Readonly<Record<string, number>>;
  /** How the present code, data or machine differ from those of the trials, where that was looked at. */
  readonly differs?: string;
}
