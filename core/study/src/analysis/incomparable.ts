import type { RecordedRow } from '../plan/study-plan.js';

type Comparable = Pick<RecordedRow, 'name' | 'kind' | 'budget' | 'trials'>;

/** Why two rows must not be compared; none if they may. A row of equal compute differs in epochs, and in schedules that end with them. */
export function incomparable(base: Comparable, row: Comparable): readonly string[] {
  const isLonger = [base, row].some(({ kind }) => kind === 'equal-compute');
  const budget = (['epochs', 'batchSize', 'accumulate'] as const)
    .filter((field) => !isLonger || field !== 'epochs')
    .filter((field) => base.budget[field] !== row.budget[field])
    .map((field) => `other ${field}: ${base.budget[field]} and ${row.budget[field]}`);
  const data = (['train', 'validation'] as const).flatMap((split) =>
    listOtherData(base, row, split),
  );
  return [...budget, ...data];
}

/** Data are compared seed by seed: each may have its own sample. */
function listOtherData(base: Comparable, row: Comparable, split: 'train' | 'validation'): string[] {
  const own = new Map(row.trials.map(({ seed, data }) => [seed, data[split]]));
  const other = base.trials.filter(({ seed, data }) => own.get(seed) !== data[split]);
  const [first] = other;
  if (!first) return [];
  const which = `${short(first.data[split])} and ${short(own.get(first.seed))}`;
  const seeds = other.map(({ seed }) => seed).join(', ');
  const some = other.length < base.trials.length ? ` for seeds ${seeds}` : '';
  return [`other ${split} data${some}: ${which}`];
}

function short(fingerprint: string | undefined): string {
  return fingerprint?.slice(0, 8) ?? 'none';
}
