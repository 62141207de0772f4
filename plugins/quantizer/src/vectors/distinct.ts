import type { Matrix } from '@espalier/compression';
import type { Columns } from './points.js';

/**
 * The distinct points in these columns, where there are no more than `limit`, and the first one again in
 * what is left of `[limit, width]`; else `undefined`.
 */
export function findDistinct(
  { data, rows, columns }: Matrix,
  { from, width }: Columns,
  limit: number,
): Float32Array | undefined {
  const seen = new Set<string>();
  const found = new Float32Array(limit * width);
  for (let row = 0, at = from; row < rows; row++, at += columns) {
    const point = data.subarray(at, at + width);
    const key = point.join();
    if (seen.has(key)) continue;
    if (seen.size === limit) return undefined;
    found.set(point, seen.size * width);
    seen.add(key);
  }
  for (let k = seen.size; k < limit; k++) found.copyWithin(k * width, 0, width);
  return found;
}
