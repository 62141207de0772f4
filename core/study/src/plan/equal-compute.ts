import { hasResult } from '../store/records.js';
import type { TrialCost } from '../store/records.js';
import { changeLength } from './change-length.js';
import type { PlannedRow } from './planned-row.js';
import { listTrials } from './planner.js';
import type { Planner } from './planner.js';
import type { Lookup } from './tuning.js';

/**
 * The base for as many epochs as take the time of the costliest row, schedules of its optimizer
 * stretched likewise; `undefined` if that is the base, or while trials are missing, or if the study wants none.
 */
export async function equalComputeRow(
  planner: Planner,
  rows: readonly PlannedRow[],
  lookup: Lookup,
): Promise<PlannedRow | undefined> {
  const { seeds, settings } = planner.study;
  if (settings.equalCompute === false) return undefined;
  const cost = settings.equalCompute === true ? 'seconds' : settings.equalCompute;
  const times: number[] = [];
  for (const row of rows) {
    const time = meanTime(row, { seeds, cost, lookup });
    if (time === undefined) return undefined;
    times.push(time);
  }
  const most = Math.max(...times.filter(Number.isFinite));
  const [base] = rows;
  const { epochs } = base!.budget;
  const longer = Math.ceil((epochs * most) / times[0]!);
  if (!(longer > epochs)) return undefined;
  const costliest = rows[times.indexOf(most)]!.name;
  const as = { name: `base, as long as ${costliest}`, kind: 'equal-compute' } as const;
  return planner.applyLevels(base!, changeLength(base!, longer), as);
}

interface Timing {
  readonly seeds: readonly number[];
  readonly cost: keyof Pick<TrialCost, 'seconds' | 'cpuSeconds'>;
  readonly lookup: Lookup;
}

/** `undefined` while a trial is missing; NaN where none has a result. */
function meanTime(row: PlannedRow, { seeds, cost, lookup }: Timing): number | undefined {
  const each: number[] = [];
  for (const { id } of listTrials(row, seeds)) {
    const end = lookup(id);
    if (end === undefined) return undefined;
    if (hasResult(end)) each.push(end.result.cost[cost] ?? NaN);
  }
  return each.reduce((sum, value) => sum + value, 0) / each.length;
}
