import { table } from '@espalier/report';
import type { Table } from '@espalier/report';
import type { Findings, TuningFinding } from '../analysis/findings.js';
import { isKnown, metricFormat, scaleValue } from './metric-format.js';
import { columnFormats } from './number-text.js';

/** What each row's tuning chose, and its cost beside that of the row's own trials. */
export function tuningTable(findings: Findings): Table {
  const { factor, format } = metricFormat(findings, 0);
  const { name } = findings.rows[0]!.metrics[0]!.metric;
  return table({
    columns: [
      { key: 'row', label: 'Row' },
      { key: 'chosen', label: 'Chosen' },
      { key: 'mean', label: `validation ${name}${factor === 100 ? ', %' : ''}`, format },
      { key: 'trials', label: 'Trials' },
      { key: 'epochs', label: 'Epochs' },
      { key: 'seconds', label: 'Time of tuning', format: columnFormats.seconds },
      { key: 'cpu', label: 'CPU time of tuning', format: columnFormats.seconds },
      { key: 'ownSeconds', label: "Time of the row's trials", format: columnFormats.seconds },
      { key: 'ownCpu', label: "CPU time of the row's trials", format: columnFormats.seconds },
    ],
    rows: findings.tuning.map((each) => ({
      row: each.row,
      chosen: describeDraw(each),
      mean: scaleValue(each.chosen === null ? null : each.draws[each.chosen]!.mean, factor),
      trials: each.trials,
      epochs: each.epochs,
      seconds: each.seconds,
      cpu: each.cpuSeconds,
      ownSeconds: sumCost(findings, each.row, 'seconds'),
      ownCpu: sumCost(findings, each.row, 'cpuSeconds'),
    })),
    caption:
      'Chosen: the draw with the best mean over the seeds of the tuning, none of which is a seed of the comparison. Times are sums over trials. Draws that are the same run in a row share its trials.',
  });
}

function describeDraw({ chosen, draws }: TuningFinding): string | null {
  if (chosen === null) return null;
  const { sets } = draws[chosen]!;
  return sets.length === 0 ? 'nothing to choose' : sets.join('\n');
}

function sumCost({ rows }: Findings, name: string, cost: 'seconds' | 'cpuSeconds'): number | null {
  const { trials } = rows.find(({ row }) => row.name === name)!;
  const each = [...trials.values()].map((trial) =>
    trial && 'result' in trial ? trial.result.cost[cost] : null,
  );
  const known = each.filter(isKnown);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0);
}
