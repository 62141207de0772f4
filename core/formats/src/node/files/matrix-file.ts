import { EspalierError } from '@espalier/base';
import type { HostTensor, SafetensorsDtype } from '@espalier/checkpoint';

/** The formats that `openMatrices` reads. */
export type MatrixFormat =
  | 'npy'
  | 'npz'
  | 'safetensors'
  | 'sharded'
  | 'pytorch'
  | 'model2vec'
  | 'word2vec text'
  | 'word2vec binary'
  | 'GloVe text';

/** A tensor in a file, of which any rows can be read. A row is what the first axis counts; a scalar is one row. */
export interface FileTensor {
  /** Its name in the file; of a file with one matrix without a name, that of the file. */
  readonly name: string;
  /** Type of its elements; numbers in a text are F32. */
  readonly dtype: SafetensorsDtype;
  /** Sizes of the axes. */
  readonly shape: readonly number[];
  /**
   * Rows `begin` to `end`, exclusive, as float32, row-major.
   *
   * @throws EspalierError `matrices/rows` where there are no such rows, `float32/dtype` on F8 and complex
   * numbers, and the errors of `openMatrices`.
   */
  readRows(begin: number, end: number): Promise<Float32Array>;
  /** The same rows bit for bit, in their own type: `shape` is `[end − begin, …]`. */
  readBits(begin: number, end: number): Promise<HostTensor>;
}

/** A file of matrices that is open. */
export interface MatrixFile {
  /** What it is. */
  readonly format: MatrixFormat;
  /** Bytes on disk of the files that hold tensors. */
  readonly bytes: number;
  /** Its tensors by name. */
  readonly tensors: ReadonlyMap<string, FileTensor>;
  /** The words that the rows of its one matrix stand for, where the file names them. */
  readonly words?: readonly string[];
  /** Names of what the file holds beside tensors, and which is not read. */
  readonly others?: readonly string[];
  /** Closes the file; no rows can be read then. */
  close(): Promise<void>;
}

/** What a reader finds in a file. */
export type MatrixContent = Omit<MatrixFile, 'bytes' | 'close'>;

/** Is called while a file is checked, with bytes. */
export type OnProgress = (progress: { readonly done: number; readonly total: number }) => void;

/** The rows of a tensor. */
export function countRows({ shape }: Pick<FileTensor, 'shape'>): number {
  return shape[0] ?? 1;
}

/** @throws EspalierError `matrices/rows` */
export function checkRows(tensor: Pick<FileTensor, 'name' | 'shape'>, begin: number, end: number) {
  const rows = countRows(tensor);
  const sound = Number.isInteger(begin) && Number.isInteger(end);
  if (sound && begin >= 0 && begin <= end && end <= rows) return;
  throw new EspalierError('matrices/rows', {
    problem: `'${tensor.name}' has rows 0 to ${rows} (exclusive)`,
    received: `${begin} to ${end}`,
    fix: 'Ask for rows that are there.',
  });
}

/** Tensors by name. */
export function byName(tensors: readonly FileTensor[]): ReadonlyMap<string, FileTensor> {
  return new Map(tensors.map((tensor) => [tensor.name, tensor]));
}

/**
 * All tensors of an open file, whole, with all their bits.
 *
 * @throws EspalierError as `openMatrices` does.
 * @example
 * const tensors = await readAllTensors(file);
 */
export async function readAllTensors(file: MatrixFile): Promise<Map<string, HostTensor>> {
  const tensors = new Map<string, HostTensor>();
  for (const [name, tensor] of file.tensors) {
    const { dtype, data } = await tensor.readBits(0, countRows(tensor));
    tensors.set(name, { dtype, shape: tensor.shape, data });
  }
  return tensors;
}
