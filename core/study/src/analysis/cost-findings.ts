import { hasResult } from '../store/records.js';
import type { TrialCost } from '../store/records.js';
import type { CostFinding, MetricFinding, RowFindings } from './findings.js';

const COSTS = ['seconds', 'cpuSeconds', 'peakMemory', 'modelBytes', 'macs'] as const;

/** What a row cost, and against the base. */
export function costFindings(
  trials: RowFindings['trials'],
  base: RowFindings['trials'],
  { comparison }: MetricFinding,
): readonly CostFinding[] {
  return COSTS.map((cost) => {
    const [own, against] = [meanCost(trials, cost), meanCost(base, cost)];
    const added = own !== null && against !== null ? own - against : 0;
    return {
      cost,
      mean: own,
      ratio: own === null || !against ? null : own / against,
      effect: comparison.kind === 'paired' && added > 0 ? comparison.difference.mean / added : null,
    };
  });
}

function meanCost(trials: RowFindings['trials'], cost: keyof TrialCost): number | null {
  const values = [...trials.values()].flatMap((trial) => {
    const value = trial && hasResult(trial) ? trial.result.cost[cost] : null;
    return Number.isFinite(value) ? [value!] : [];
  });
  return values.length === 0 ? null : values.reduce((sum, each) => sum + each, 0) / values.length;
}
