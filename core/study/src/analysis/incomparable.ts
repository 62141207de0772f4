import type { PlannedRow } from '../plan/planned-row.js';

type Comparable = Pick<PlannedRow, 'name' | 'kind' | 'budget' | 'data' | 'samples'>;

/** Why two rows must not be compared; none if they may. A row of equal compute differs in epochs, and in schedules that end with them. */
export function incomparable(base: Comparable, row: Comparable): readonly string[] {
  const budget = (['epochs', 'batchSize', 'accumulate'] as const)
    .filter((field) => row.kind !== 'equal-compute' || field !== 'epochs')
    .filter((field) => base.budget[field] !== row.budget[field])
    .map((field) => `other ${field}: ${base.budget[field]} and ${row.budget[field]}`);
  const data = (['train', 'validation'] as const).flatMap((split) =>
    listOtherData(base, row, split),
  );
  return [...budget, ...data];
}

function listOtherData(base: Comparable, row: Comparable, split: 'train' | 'validation'): string[] {
  const seeds = [...(base.samples ?? [])].flatMap(([seed, { data }]) =>
    data[split] === row.samples?.get(seed)?.data[split] ? [] : [seed],
  );
  if (base.data[split] === row.data[split] && seeds.length === 0) return [];
  const which = `${short(base.data[split])} and ${short(row.data[split])}`;
  return [`other ${split} data${base.samples ? ` for seeds ${seeds.join(', ')}` : ''}: ${which}`];
}

function short(fingerprint: string): string {
  return fingerprint.slice(0, 8);
}
