import type { Metrics, TrialResult } from '../store/records.js';

/** What a process needs to know to run a trial, as JSON. */
export interface TrialJob {
  readonly id: string;
  readonly row: string;
  readonly seed: number;
  /** The study's base, its references relative to `file`. */
  readonly base: unknown;
  readonly file: string;
  readonly sets: readonly string[];
  readonly backend: { readonly name: string; readonly threads: number };
  /** Folder for checkpoints, telemetry and the result. */
  readonly dir: string;
  /** `train`, then compare on validation data; `test`: metrics of the test data at the end. */
  readonly task: 'train' | 'test';
  /** Whether training ends with the metrics of the test data. */
  readonly testToo?: boolean;
}

/** A report of a running trial. */
export interface TrialProgress {
  readonly epoch: number;
  readonly epochs: number;
}

/** How the process of a trial ended. */
export type TrialEnd =
  | { readonly status: 'done'; readonly result: TrialResult }
  | { readonly status: 'tested'; readonly metrics: Metrics }
  /** The trial itself threw: the same would happen again. */
  | { readonly status: 'failed'; readonly code: string; readonly message: string }
  /** It went over a limit. */
  | { readonly status: 'over'; readonly code: string; readonly message: string }
  /** The process ended without a word. */
  | { readonly status: 'crashed'; readonly message: string }
  /** It was stopped from outside, at a checkpoint if it could be. */
  | { readonly status: 'stopped' };

/** Where trials run. The local one is a process each; a queue of machines would be another. */
export interface Executor {
  /** How many trials may run at a time. */
  readonly slots: number;
  run(
    job: TrialJob,
    options: {
      readonly signal: AbortSignal;
      readonly onProgress: (progress: TrialProgress) => void;
    },
  ): Promise<TrialEnd>;
}
