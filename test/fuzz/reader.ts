import type { KeyedRng } from '@espalier/core';
import type { ReaderName } from './reader-names.js';

/** Files of one thing that a reader reads. */
export interface Sample {
  readonly name: string;
  /** By name, which may contain folders. */
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** What is opened, relative to the folder; `.` is the folder. */
  readonly open: string;
}

/** A reader under test. It throws errors of Espalier only, ends, and leaves no tensor. */
export interface Reader {
  readonly name: ReaderName;
  /** Sound samples, to be damaged. */
  readonly samples: readonly Sample[];
  /** Cases that a reader once failed on; they come first, as they are. */
  readonly found: readonly Sample[];
  /** Another way to damage a sample than {@link damageFiles}. */
  damage?(sample: Sample, draw: KeyedRng): Promise<Sample>;
  /** Reads a sample that lies in a folder, and disposes what it has read. */
  read(folder: string, sample: Sample): Promise<void>;
}
