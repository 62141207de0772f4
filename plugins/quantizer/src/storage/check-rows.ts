import { EspalierError } from '@espalier/core';

/** @throws EspalierError `quantizer/row` where a row is asked for that there is not. */
export function checkRows(ids: ArrayLike<number>, rows: number): void {
  const wrong = Array.prototype.find.call(ids, (id: number) => id < 0 || id >= rows);
  if (wrong === undefined) return;
  throw new EspalierError('quantizer/row', {
    problem: `a quantized matrix of ${rows} rows has no such row`,
    received: wrong,
    fix: `Look up ids from 0 to ${rows - 1}.`,
  });
}
