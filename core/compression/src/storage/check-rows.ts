import { EspalierError } from '@espalier/base';

/**
 * Refuses numbers of rows that there are not.
 *
 * @throws EspalierError `storage/row`.
 * @example
 * checkRows(ids, 10_000); // before rows `ids` of a matrix of 10 000 rows are decoded
 */
export function checkRows(ids: ArrayLike<number>, rows: number): void {
  const wrong = Array.prototype.find.call(ids, (id: number) => id < 0 || id >= rows);
  if (wrong === undefined) return;
  throw new EspalierError('storage/row', {
    problem: `a stored matrix of ${rows} rows has no such row`,
    received: wrong,
    fix: `Look up ids from 0 to ${rows - 1}.`,
  });
}
