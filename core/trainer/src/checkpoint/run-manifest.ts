import type { EditRecord, TrainingFlags } from '@espalier/model';
import type { Clock } from '../clock.js';
import type { EpochResult } from '../hooks/hooks.js';
import type { EpochSumsData } from '../loop/epoch-sums.js';
import type { StageProgress } from '../loop/stage.js';
import type { Manifest } from '../preset/index.js';

/** What a checkpoint holds beside its tensors: enough to refuse a wrong one and to go on exactly. */
export interface RunManifest {
  readonly seed: number;
  readonly clock: Clock;
  readonly epoch: EpochSumsData;
  readonly history: readonly EpochResult[];
  /** Why a plugin stopped the run; null where none did. */
  readonly stopReason: string | null;
  readonly stages: StageProgress;
  /** Plugins whose transform has run. */
  readonly transformed: readonly string[];
  readonly preset: Manifest;
  readonly backend: Readonly<Record<string, unknown>>;
  readonly versions: { readonly tfjs: string };
  /** Fingerprint of the training data; null when the session has none. */
  readonly data: string | null;
  /** Settings that change the steps, as far as they have a name. */
  readonly training: Readonly<Record<string, unknown>>;
  /** Numbers that change the steps; absent in checkpoints of releases that did not note them. */
  readonly settings?: RunSettingsRecord;
  /** The topology of the model as trained, after every edit. */
  readonly topology: unknown;
  /** `trainable` of every layer and weight: it may change between fits. */
  readonly trainable: TrainingFlags;
  readonly edits: readonly EditRecord[];
  /** Slot → paths; the tensors are `slots/<slot>/<path>`. */
  readonly slots: Readonly<Record<string, readonly string[]>>;
  /** Steps of the optimizers that plugins have for parameters of theirs, by plugin; absent where none has one. */
  readonly ownSteps?: Readonly<Record<string, number>>;
  readonly states: Readonly<Record<string, { readonly version: number; readonly json?: unknown }>>;
}

/** Settings that a resumed run may change by name. */
export interface RunSettingsRecord {
  /** Of the optimizers that the user gave: `sgd.learningRate`. */
  readonly optimizer: Readonly<Record<string, unknown>>;
  /** Of the training source: `batchSize`, `shuffle`. */
  readonly source: Readonly<Record<string, unknown>>;
  /** Fingerprint of the validation data; null when the session has none. */
  readonly validation: string | null;
}
