import type { Matrix } from '@espalier/compression';
import { keyedRng } from '@espalier/core';

/** A matrix of standard normal numbers. */
export function gaussianMatrix(rows: number, columns: number, seed = 0): Matrix {
  const draw = keyedRng(seed, 'gaussian');
  const data = Float32Array.from(
    { length: rows * columns },
    () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw()),
  );
  return { data, rows, columns };
}
