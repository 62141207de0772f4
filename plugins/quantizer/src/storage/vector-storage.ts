import type {
  MatrixShape,
  MatrixStorage,
  ReadWeight,
  StorageConfig,
  StoredWeight,
} from '@espalier/compression';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { computeVectorLayout } from '../vectors/layout.js';
import type { VectorPart } from '../vectors/layout.js';
import { paysToTabulate, scoreByTables } from './score-by-tables.js';
import { decodeRowsOfVectors } from './vector-kernels.js';

/**
 * A matrix in codes of vectors among a layer's weights, all of rank 1: `<name>_codes` int32 words,
 * `<name>_codebook` and, of rotated rows, `<name>_rotation`. The codebook trains; codes and rotation are
 * frozen.
 */
export function vectorStorage(
  name: string,
  shape: MatrixShape,
  given: StorageConfig,
): MatrixStorage {
  const { config, format, parts } = computeVectorLayout(given, shape);
  const coded = codedRows(name, format.columns, 'rotation' in parts, {
    decode: (read, ids) =>
      decodeRowsOfVectors(read(`${name}_codes`), read(`${name}_codebook`), ids, format),
    tabulate: (read, x) =>
      paysToTabulate(x.shape[0], format)
        ? scoreByTables(read(`${name}_codes`), read(`${name}_codebook`), x, format)
        : undefined,
  });
  const weights = Object.entries(parts).map(([part, length]): StoredWeight => ({
    name: `${name}_${part}`,
    shape: [length],
    dtype: part === 'codes' ? 'int32' : 'float32',
    trainable: (part as VectorPart) === 'codebook',
  }));
  const access = config.transposed ? transposed(coded, format.rows) : straight(coded, format.rows);
  return { config, weights, ...access };
}

interface CodedRows {
  /** Rows by number, decoded. */
  rows(read: ReadWeight, ids: Tensor1D): Tensor2D;
  /** Products of each `x` with each row. */
  scores(read: ReadWeight, x: Tensor2D, rows: number): Tensor2D;
}

interface Codes {
  decode(read: ReadWeight, ids: Tensor1D): Tensor2D;
  tabulate(read: ReadWeight, x: Tensor2D): Tensor2D | undefined;
}

/** Rows as they are coded, and turned back where they were rotated before. */
function codedRows(
  name: string,
  columns: number,
  rotated: boolean,
  { decode, tabulate }: Codes,
): CodedRows {
  const rotation = (read: ReadWeight) =>
    tf.reshape(read(`${name}_rotation`), [columns, columns]) as Tensor2D;
  return {
    rows: (read, ids) => {
      const decoded = decode(read, ids);
      return rotated ? tf.matMul(decoded, rotation(read), false, true) : decoded;
    },
    scores: (read, x, rows) => {
      const turned = rotated ? tf.matMul<Tensor2D>(x, rotation(read)) : x;
      return tabulate(read, turned) ?? tf.matMul(turned, decode(read, range(0, rows)), false, true);
    },
  };
}

type Access = Pick<MatrixStorage, 'gather' | 'slice' | 'scores' | 'multiply'>;

function straight(coded: CodedRows, rows: number): Access {
  return {
    gather: (read, ids) => tf.tidy(() => coded.rows(read, ids)),
    slice: (read, begin, size) => tf.tidy(() => coded.rows(read, range(begin, size))),
    scores: (read, x) => tf.tidy(() => coded.scores(read, x, rows)),
  };
}

/** Where a coded row is a column of the matrix. */
function transposed(coded: CodedRows, columns: number): Access {
  const all = (read: ReadWeight) => coded.rows(read, range(0, columns));
  return {
    gather: (read, ids) => tf.tidy(() => tf.transpose(tf.gather(all(read), ids, 1))),
    slice: (read, begin, size) =>
      tf.tidy(() => tf.transpose(tf.slice2d(all(read), [0, begin], [columns, size]))),
    multiply: (read, x) => tf.tidy(() => coded.scores(read, x, columns)),
  };
}

function range(begin: number, size: number): Tensor1D {
  return tf.range(begin, begin + size, 1, 'int32');
}
