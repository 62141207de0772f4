import { EspalierError } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { MatrixStorage, StorageConfig, StorageFactory } from './storage.js';

/** Words of 32 bits that are kept outside of memory. */
export interface WordStore {
  /** Writes words from `at` on. */
  write(at: number, words: Int32Array): Promise<void>;
  /** Words `begin` to `end`, exclusive; 0 where nothing was written. */
  read(begin: number, end: number): Promise<Int32Array>;
  /** Returns when all that was written would be there after a crash. */
  flush(): Promise<void>;
}

/** What long work keeps outside of memory, so that it goes on after an interruption. */
export interface WorkStore {
  /** What was written under a name, if anything was. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** Writes all of it or nothing. */
  write(name: string, pieces: readonly Uint8Array[]): Promise<void>;
  /** So many words under a name: those of an earlier run, or zeros. */
  openWords(name: string, length: number): Promise<WordStore>;
}

/** A matrix that is read some rows at a time. */
export interface RowSource {
  readonly rows: number;
  readonly columns: number;
  /** Rows `begin` to `end`, exclusive, row after row. */
  readRows(begin: number, end: number): Float32Array | Promise<Float32Array>;
  /** Where work on the matrix is kept; absent: in memory. */
  readonly work?: WorkStore;
}

/** The kind of storage of a matrix that is somewhere else than in the model. */
const STREAMED = 'streamed';

const sources = new Map<number, RowSource>();
let offered = 0;

/**
 * Makes a matrix known that is read some rows at a time and never held as a whole. An embedding with this storage
 * has no weights, and gives zeros; a plugin that can read rows gives it another storage.
 *
 * @returns the storage, and what forgets the matrix.
 * @example
 * const { storage, withdraw } = offerRows({ rows, columns, readRows });
 * const layer = new StoredEmbedding({ inputDim: rows, outputDim: columns, storage: { embeddings: storage } });
 */
export function offerRows(source: RowSource): {
  readonly storage: StorageConfig;
  withdraw(): void;
} {
  const id = ++offered;
  sources.set(id, source);
  return { storage: { kind: STREAMED, source: id }, withdraw: () => void sources.delete(id) };
}

/**
 * The matrix of a storage that {@link offerRows} gave; `undefined` for other storages.
 *
 * @throws EspalierError `storage/withdrawn` where it is no longer there.
 * @example
 * const source = findRows(storage);
 */
export function findRows(storage: StorageConfig | undefined): RowSource | undefined {
  if (storage?.kind !== STREAMED) return undefined;
  const source = sources.get(storage['source'] as number);
  if (source) return source;
  throw new EspalierError('storage/withdrawn', {
    problem: 'a layer reads its rows from a file that is closed',
    fix: 'Read the file again.',
  });
}

/** No weights, and zeros for every row. */
export const streamedStorage: StorageFactory = (_, [, columns], config): MatrixStorage => ({
  config,
  weights: [],
  gather: (read, { size }) => tf.zeros([size, columns]),
  slice: (read, begin, size) => tf.zeros([size, columns]),
});
