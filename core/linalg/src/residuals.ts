import * as tf from '@tensorflow/tfjs-core';
import { chunks, defaultChunkRows } from './chunks.js';
import { allFinite, notFiniteError, findScale, selectRows } from './matrix.js';
import type { Matrix, Selection } from './matrix.js';
import { checkBasis, uploadRows } from './project.js';

/**
 * ‖a_i − a_i V Vᵀ‖² of every selected row, [selected], where `v` [columns, rank] is orthonormal: what
 * a row loses in that basis. In chunks. Computed from the differences, so that small ones keep their
 * digits.
 *
 * @throws EspalierError `linalg/size`, `linalg/select`; `linalg/not-finite` with row and column;
 * `linalg/overflow` if squares leave float32 where V is not orthonormal.
 * @example
 * const errors = await residuals(matrix, v, { select: Int32Array.of(0, 3) }); // of rows 0 and 3
 */
export async function residuals(
  a: Matrix,
  v: Matrix,
  { select }: Selection = {},
): Promise<Float64Array> {
  checkBasis(a, v);
  return rowErrors(a, selectRows(a, select), v, v);
}

/** ‖a_i M − a_i P Qᵀ‖² of the given rows; M is `root`, default the identity. */
export async function rowErrors(
  a: Matrix,
  rows: Int32Array,
  p: Matrix,
  q: Matrix,
  root?: Float64Array,
): Promise<Float64Array> {
  const result = new Float64Array(rows.length);
  const scale = findScale(a, rows);
  const [left, right, m] = tf.tidy(() => [
    tf.tensor2d(p.data, [p.rows, p.columns]),
    tf.transpose(tf.tensor2d(q.data, [q.rows, q.columns])),
    root && tf.tensor2d(Float32Array.from(root), [a.columns, a.columns]),
  ]) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D | undefined];
  try {
    for await (const chunk of chunks(rows, defaultChunkRows(a.columns))) {
      const errors = tf.tidy(() => {
        const x = uploadRows(a, chunk.rows);
        const difference = tf.sub(m ? tf.matMul(x, m) : x, tf.matMul(tf.matMul(x, left), right));
        return tf.sum(tf.square(tf.mul(difference, scale)), 1);
      });
      (await errors.data<'float32'>()).forEach((error, i) => {
        result[chunk.from + i] = error / scale ** 2;
      });
      errors.dispose();
    }
  } finally {
    tf.dispose([left, right, ...(m ? [m] : [])]);
  }
  if (!allFinite(result)) throw notFiniteError(a, rows);
  return result;
}
