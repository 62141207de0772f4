import type { LoadedConfig } from '@espalier/config';
import type { Manifest } from '@espalier/core';

/** What a row trains for: rows are compared only where it is the same. */
export interface Budget {
  readonly epochs: number;
  readonly batchSize: number | null;
  readonly accumulate: number;
}

/** Fingerprints of the data that a row trains and is compared on. */
export interface DataFingerprints {
  readonly train: string;
  readonly validation: string;
}

/** What computes, as far as results depend on it. */
export interface PlannedBackend {
  readonly name: string;
  readonly package: string;
  readonly version: string;
  readonly simd: boolean;
  readonly threads: number;
  readonly device: string | null;
  /** For people. */
  readonly line: string;
}

/** What one seed trains on, where each draws its own. */
export interface Sample {
  /** Settings that draw it. */
  readonly sets: readonly string[];
  readonly data: DataFingerprints;
}

/** A row, resolved. */
export interface PlannedRow {
  readonly name: string;
  readonly kind: 'base' | 'row' | 'equal-compute';
  /** The base's configuration becomes the row's by these, as `--set` of the command line. */
  readonly sets: readonly string[];
  readonly config: LoadedConfig;
  readonly manifest: Manifest;
  readonly budget: Budget;
  /** Of the first seed, where each has its own. */
  readonly data: DataFingerprints;
  /** By seed, if the study resamples. */
  readonly samples?: ReadonlyMap<number, Sample>;
  /** The differences to the base, field by field; empty for the base. */
  readonly diff: readonly string[];
  /** Names of the modules that its code is in. */
  readonly modules: readonly string[];
  /** Hash of all that makes its trials what they are, but for the seed. */
  readonly hash: string;
}

/** One run of a row. */
export interface PlannedTrial {
  /** Content hash: the row's and the seed's. A trial of this id has one result, for ever. */
  readonly id: string;
  readonly row: string;
  readonly seed: number;
  readonly sets: readonly string[];
  readonly data: DataFingerprints;
}
