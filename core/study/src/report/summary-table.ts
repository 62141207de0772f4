import { table } from '@espalier/report';
import type { Cell, Column, Table } from '@espalier/report';
import type { Findings, RowFindings } from '../analysis/findings.js';
import { hasResult } from '../store/records.js';
import { toEstimate, isKnown, metricFormat } from './metric-format.js';
import type { MetricFormat } from './metric-format.js';
import { formatBytes, columnFormats, pluralize, countText } from './number-text.js';
import { findCost, hasNoSpread, NO_SPREAD, listPaired, remarks } from './row-findings.js';

/**
 * The rows of a study with their primary metric, its paired difference to the base, and their costs.
 * Accuracies are in per cent and differences of them in points; rows that are not compared say why.
 *
 * @example
 * toMarkdown(studyTable(await analyse(planner, rows, store)));
 */
export function studyTable(findings: Findings): Table {
  const { rows } = findings;
  const columns: Column[] = [
    ...metricColumns(findings, 0),
    { key: 'seconds', label: 'Time', format: columnFormats.seconds },
    { key: 'cpu', label: 'CPU time', format: columnFormats.seconds },
    { key: 'ratio', label: 'Time / base', format: columnFormats.ratio },
    { key: 'memory', label: 'Memory', format: columnFormats.bytes },
    ...(haveEqualExports(rows) ? [] : EXPORT),
    ...remarksColumn(findings, 0),
  ];
  const costs = (row: RowFindings) => ({
    seconds: findCost(row, 'seconds')?.mean,
    cpu: findCost(row, 'cpuSeconds')?.mean,
    ratio: findCost(row, 'seconds')?.ratio,
    memory: findCost(row, 'peakMemory')?.mean,
    bytes: findCost(row, 'modelBytes')?.mean,
    macs: findCost(row, 'macs')?.mean,
  });
  return table({
    columns,
    rows: rows.map((row) => ({ ...metricCells(findings, row, 0), ...costs(row) })),
    caption:
      `${howToRead(findings, 0)} Costs are means over trials: time of training and validation by the clock and of the processor (all threads), peak resident memory of the process. ${explainExport(rows)}`.trimEnd(),
  });
}

const EXPORT: readonly Column[] = [
  { key: 'bytes', label: 'Model', format: columnFormats.bytes },
  { key: 'macs', label: 'MACs', format: columnFormats.count },
];

/** Whether rows export models of the same cost, as most that differ in training only do. */
const haveEqualExports = (rows: readonly RowFindings[]): boolean => {
  const ended = rows.filter((row) => isKnown(findCost(row, 'modelBytes')?.mean));
  return (['modelBytes', 'macs'] as const).every(
    (cost) => new Set(ended.map((row) => findCost(row, cost)?.mean ?? null)).size <= 1,
  );
};

function explainExport(rows: readonly RowFindings[]): string {
  const what = 'Model: bytes of the exported parameters. MACs: multiply-accumulates per example.';
  if (!haveEqualExports(rows)) return `${what}${explainUncounted(rows)}`;
  const [bytes, macs] = (['modelBytes', 'macs'] as const).map((cost) =>
    rows.map((row) => findCost(row, cost)?.mean).find(isKnown),
  );
  if (bytes === undefined) return '';
  const operations =
    macs === undefined ? '' : ` and ${countText(macs)} multiply-accumulates per example`;
  return `Every row exports a model of ${formatBytes(bytes)}${operations}.${explainUncounted(rows)}`;
}

/** The layers whose multiply-accumulates are missing in the sums. */
function explainUncounted(rows: readonly RowFindings[]): string {
  const trials = rows.flatMap((row) => [...row.trials.values()]);
  const names = trials.flatMap((trial) =>
    trial && hasResult(trial) ? (trial.result.uncounted ?? []) : [],
  );
  if (names.length === 0) return '';
  return ` MACs are unknown for models with these layers: ${[...new Set(names)].join(', ')}.`;
}

/** The rows with another metric than the primary one. */
export function metricTable(findings: Findings, i: number): Table {
  const { name, direction } = findings.rows[0]!.metrics[i]!.metric;
  return table({
    title: `${name} (${direction === 'max' ? 'higher' : 'lower'} is better)`,
    columns: [...metricColumns(findings, i), ...remarksColumn(findings, i)],
    rows: findings.rows.map((row) => metricCells(findings, row, i)),
    caption: howToRead(findings, i),
  });
}

function metricColumns(findings: Findings, i: number): Column[] {
  const shown = metricFormat(findings, i);
  const compared = comparedRows(findings, i).length > 0;
  const difference = [
    { key: 'difference', label: `Difference, ${shown.unit}`, format: shown.signed },
    { key: 'p', label: 'p (Holm)', format: columnFormats.p },
  ];
  return [
    { key: 'row', label: 'Row' },
    { key: 'mean', label: shown.label, format: shown.format },
    ...(compared ? difference.slice(0, isFamily(findings) ? 2 : 1) : []),
  ];
}

function metricCells(findings: Findings, row: RowFindings, i: number): Record<string, Cell> {
  const shown = metricFormat(findings, i);
  const finding = row.metrics[i]!;
  return {
    row: row.row.name,
    mean: finding.summary && toEstimate(finding.summary, shown),
    ...differenceCells(row, i, shown),
    remarks: remarks(row, finding, findings.complete),
  };
}

function differenceCells({ metrics }: RowFindings, i: number, shown: MetricFormat) {
  const comparison = listPaired(metrics[i]!);
  if (!comparison) return {};
  return {
    difference: toEstimate(comparison.difference, shown),
    p: hasNoSpread(comparison) ? NO_SPREAD : comparison.corrected,
  };
}

function remarksColumn({ rows, complete }: Findings, i: number): Column[] {
  const none = rows.every((row) => remarks(row, row.metrics[i]!, complete) === '');
  return none ? [] : [{ key: 'remarks', label: 'Remarks' }];
}

/** Whether rows minus the base are the family that is tested; a study with contrasts tests those. */
export const isFamily = ({ contrasts }: Findings): boolean => contrasts.length === 0;

export const comparedRows = ({ rows }: Findings, i: number): readonly RowFindings[] =>
  rows.filter(({ metrics }) => listPaired(metrics[i]!));

function howToRead(findings: Findings, i: number): string {
  const means =
    findings.seeds.length > 1
      ? "Means over seeds, with 95\u00a0% intervals of Student's t."
      : 'Values of one seed.';
  const compared = comparedRows(findings, i).length;
  if (compared === 0) return means;
  const differences = `${means} Differences are row − base, paired by seed`;
  if (!isFamily(findings)) return `${differences}; what is tested are the contrasts.`;
  return `${differences}; p is that of the paired t test, with Holm's correction over ${pluralize(compared, 'row')}.`;
}
