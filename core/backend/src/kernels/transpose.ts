import * as tf from '@tensorflow/tfjs-core';
import { writeTensor } from './memory.js';

/** Columns done at a time: as many cache lines as fit, with room, into one set of the first cache. */
const tile = 16;

/** Rows whose distance in the result, in floats, is a multiple of this fall into few cache sets. */
const conflict = 256;

/** Writes `[rows, columns]` transposed, in strips of rows that stay in the cache. */
function transposeTiles(source: Float32Array, target: Float32Array, rows: number, columns: number) {
  for (let top = 0; top < rows; top += tile) {
    const bottom = Math.min(top + tile, rows);
    for (let column = 0; column < columns; column++) {
      let from = top * columns + column;
      for (let to = column * rows + top; to < column * rows + bottom; to++) {
        target[to] = source[from]!;
        from += columns;
      }
    }
  }
}

/** Sizes if the permutation only turns the axes, `[1,2,0]` as well as `[1,0]`: then it is one matrix transposed. */
function asMatrix(
  shape: readonly number[],
  perm: readonly number[],
): [rows: number, columns: number] | undefined {
  const first = perm[0] ?? 0;
  if (first === 0 || perm.some((axis, i) => axis !== (first + i) % perm.length)) return undefined;
  return [tf.util.sizeFromShape(shape.slice(0, first)), tf.util.sizeFromShape(shape.slice(first))];
}

/**
 * The wasm kernel writes each row of the source down one column of the result. Where the column's
 * step is a large power of two those writes evict each other from the cache: a 1024 x 1024 matrix
 * takes 14 ms, 14 times as long as one of 1000 x 1000. Strips of 16 rows take 3 ms.
 */
export const transpose = (original: tf.KernelFunc): tf.KernelFunc => {
  return (params) => {
    const x = params.inputs['x'] as tf.Tensor;
    const perm = params.attrs?.['perm'] as number[];
    const matrix = x.dtype === 'float32' ? asMatrix(x.shape, perm) : undefined;
    if (!matrix || matrix[0] % conflict !== 0 || matrix[1] < tile) return original(params);
    const shape = perm.map((axis) => x.shape[axis]!);
    return writeTensor(params.backend, shape, [x], (target, source) =>
      transposeTiles(source!, target, ...matrix),
    );
  };
};
