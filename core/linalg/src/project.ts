import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { chunks, defaultChunkRows } from './chunks.js';
import { allFinite, notFiniteError, selectRows } from './matrix.js';
import type { Matrix, Selection } from './matrix.js';

/**
 * A V for the selected rows: [selected, rank], where `v` is [columns, rank]. In chunks.
 *
 * @throws EspalierError `linalg/size`, `linalg/select`; `linalg/not-finite` with row and column.
 * @example
 * const { v } = await weightedLowRank(matrix, { rank: 8 });
 * const coordinates = await project(matrix, v); // [rows, 8]
 */
export async function project(a: Matrix, v: Matrix, { select }: Selection = {}): Promise<Matrix> {
  checkBasis(a, v);
  const rows = selectRows(a, select);
  const data = new Float32Array(rows.length * v.columns);
  const basis = tf.tensor2d(v.data, [v.rows, v.columns]);
  try {
    for await (const chunk of chunks(rows, defaultChunkRows(a.columns))) {
      const product = tf.tidy(() => tf.matMul(uploadRows(a, chunk.rows), basis));
      data.set(await product.data<'float32'>(), chunk.from * v.columns);
      product.dispose();
    }
  } finally {
    basis.dispose();
  }
  if (!allFinite(data)) throw notFiniteError(a, rows);
  return { data, rows: rows.length, columns: v.columns };
}

/** [rows, columns] on the backend; rows that lie side by side are uploaded from where they are. */
export function uploadRows({ data, columns }: Matrix, rows: Int32Array): tf.Tensor2D {
  const first = rows[0]!;
  if (rows.every((row, i) => row === first + i)) {
    const part = data.subarray(first * columns, (first + rows.length) * columns);
    return tf.tensor2d(part, [rows.length, columns]);
  }
  const gathered = new Float32Array(rows.length * columns);
  rows.forEach((row, i) => {
    gathered.set(data.subarray(row * columns, (row + 1) * columns), i * columns);
  });
  return tf.tensor2d(gathered, [rows.length, columns]);
}

/** @throws EspalierError `linalg/size`. */
export function checkBasis(a: Matrix, v: Matrix): void {
  if (v.rows === a.columns && v.data.length === v.rows * v.columns) return;
  throw new EspalierError('linalg/size', {
    problem: `v must have a row for each of the ${a.columns} columns of the matrix`,
    received: `${v.rows} × ${v.columns}, ${v.data.length} numbers`,
    fix: 'Pass v as weightedLowRank returns it.',
  });
}
