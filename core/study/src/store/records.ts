import type { Environment } from '../plan/environment.js';
import type { Budget, DataFingerprints, PlannedBackend } from '../plan/planned-row.js';
import type { StudyPlan } from '../plan/study-plan.js';

/** Metrics by name; NaN and infinities among them. */
export type Metrics = Readonly<Record<string, number>>;

/** What training gave at the end of an epoch; metrics of the validation data begin with `val/`. */
export interface EpochRecord {
  readonly epoch: number;
  readonly metrics: Metrics;
}

/** What a finished trial reports. */
export interface TrialResult {
  /** Metrics of the validation data after the last epoch, or the transform that followed it. */
  readonly metrics: Metrics;
  readonly history: readonly EpochRecord[];
  readonly cost: TrialCost;
  /** Layers of the exported model whose multiply-accumulates are unknown. */
  readonly uncounted?: readonly string[];
  /** Plugins that have a transform which never ran: the figures are of the model without it. */
  readonly untransformed?: readonly string[];
  /** Of the test data, where the study has them computed with each trial. */
  readonly test?: { readonly data: string; readonly metrics: Metrics };
}

/** What a trial cost. */
export interface TrialCost {
  /** Of training and validation by the clock, all attempts together. */
  readonly seconds: number;
  /** The same by the processor's time of all threads; null where it is unknown. */
  readonly cpuSeconds: number | null;
  /** Largest resident memory of its process, in bytes. */
  readonly peakMemory: number;
  /** Of the exported model's parameters. */
  readonly modelBytes: number;
  /** Multiply-accumulates of the exported model per example; null where a layer does not tell its own. */
  readonly macs: number | null;
}

/** What a trial is for. */
export type TrialKind = 'main' | 'tuning';

/** A trial that has ended. */
export type TrialRecord = {
  readonly id: string;
  readonly row: string;
  readonly seed: number;
  readonly kind: TrialKind;
  readonly sets: readonly string[];
  readonly budget: Budget;
  readonly data: DataFingerprints;
  readonly backend: PlannedBackend;
  readonly attempts: number;
  /** ISO 8601. */
  readonly ended: string;
  /** Where it ran: a key of the study's environments. */
  readonly environment?: string;
} & ({ readonly result: TrialResult } | { readonly failure: TrialFailure });

/** Why a trial has no result. */
export interface TrialFailure {
  /** `study/crashed`, `study/time-limit`, …, or the code of what the trial threw. */
  readonly code: string;
  readonly message: string;
}

/** The test split's metrics of a trial. */
export interface TestRecord {
  readonly id: string;
  /** Fingerprint of the test data. */
  readonly data: string;
  readonly metrics: Metrics;
  /** Whether nobody has asked for them yet: no report shows them. */
  readonly sealed?: true;
}

/** What is known of a study: its database, or a packed file. */
export interface StudyRecords {
  plan(): StudyPlan | undefined;
  trial(id: string): TrialRecord | undefined;
  trials(): readonly TrialRecord[];
  tests(): readonly TestRecord[];
  readings(): readonly TestReading[];
  /** By key. */
  environments(): ReadonlyMap<string, Environment>;
}

/** When the test split was read. */
export interface TestReading {
  /** ISO 8601; `unknown` where the record of it is damaged. */
  readonly at: string;
  /** How many trials it was read for. */
  readonly trials: number;
  /** Hash of the trials and the data: reading the same again does not count. */
  readonly of: string;
}

export function hasResult(
  record: TrialRecord,
): record is TrialRecord & { readonly result: TrialResult } {
  return 'result' in record;
}
