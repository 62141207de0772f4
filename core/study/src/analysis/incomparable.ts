import type { PlannedRow } from '../plan/planned-row.js';

type Comparable = Pick<PlannedRow, 'name' | 'kind' | 'budget' | 'data'>;

/** Why two rows must not be compared; none if they may. A row of equal compute differs in epochs, and in schedules that end with them. */
export function incomparable(base: Comparable, row: Comparable): readonly string[] {
  const budget = (['epochs', 'batchSize', 'accumulate'] as const)
    .filter((field) => row.kind !== 'equal-compute' || field !== 'epochs')
    .filter((field) => base.budget[field] !== row.budget[field])
    .map((field) => `other ${field}: ${base.budget[field]} and ${row.budget[field]}`);
  const data = (['train', 'validation'] as const)
    .filter((split) => base.data[split] !== row.data[split])
    .map(
      (split) => `other ${split} data: ${short(base.data[split])} and ${short(row.data[split])}`,
    );
  return [...budget, ...data];
}

function short(fingerprint: string): string {
  return fingerprint.slice(0, 8);
}
