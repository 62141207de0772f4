import type { BackendInfo } from '@espalier/backend';
import type { Source } from '@espalier/data';
import type { Loss } from '@espalier/losses';

/**
 * Whose rules hold where TensorFlow.js and Keras differ from what this framework considers right; see
 * the table in the README of core. One choice for the whole run.
 */
export type Semantics = 'espalier' | 'tfjs';

/** What the configuration fixes for a whole run, defaults filled in. */
export interface RunSettings {
  readonly seed: number;
  readonly semantics: Semantics;
  /** By output of the user's model. */
  readonly losses: Readonly<Record<string, Loss>>;
  /** Outputs that are taken before the softmax or sigmoid that they end in. */
  readonly logits: readonly string[];
  /** Micro-batches per optimizer step. */
  readonly accumulate: number;
  /** Steps between `step` events. */
  readonly logInterval: number;
  readonly train?: Source | undefined;
  readonly validation?: Source | undefined;
  /** Epochs from one validation to the next. */
  readonly validateEvery: number;
  /** Where plugins put files of this run. */
  readonly folder: string | undefined;
  resolvePath(path: string): string;
  readonly backend: BackendInfo;
}
