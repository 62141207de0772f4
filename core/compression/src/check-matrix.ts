import { EspalierError } from '@espalier/core';
import type { Matrix } from '@espalier/linalg';

/**
 * Refuses what is no matrix on the host.
 *
 * @param caller The function that was given it, for the error.
 * @throws EspalierError `compression/matrix`.
 * @example
 * checkMatrix('quantize', { data: new Float32Array(6), rows: 2, columns: 3 });
 */
export function checkMatrix(caller: string, given: Matrix): void {
  const { data, rows, columns } = (given ?? {}) as Partial<Matrix>;
  if (data instanceof Float32Array && data.length === rows! * columns!) return;
  throw new EspalierError('compression/matrix', {
    problem: `${caller}: a matrix is { data, rows, columns } with a Float32Array of rows × columns numbers, row by row`,
    received: { data: describe(data), rows, columns },
    fix: 'Of a tensor [rows, columns]: { data: await tensor.data(), rows, columns }.',
  });
}

function describe(data: unknown): string {
  const { constructor, length } = (data ?? {}) as Partial<Float32Array>;
  return data === undefined ? 'undefined' : `${constructor?.name} of ${length}`;
}
