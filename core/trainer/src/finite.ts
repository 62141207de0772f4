/** Position of the first number that is not finite; -1 where all are. */
export function findNonFinite(values: ArrayLike<number>): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i;
  return -1;
}

/** Whether all numbers are finite. */
export function areFinite(values: ArrayLike<number>): boolean {
  return findNonFinite(values) < 0;
}
