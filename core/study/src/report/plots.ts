import { dotPlot, forestPlot, linePlot } from '@espalier/report';
import type { Block, ForestPlot, Point, Series, XyPlot } from '@espalier/report';
import type { Findings, MetricFinding, RowFindings } from '../analysis/findings.js';
import { hasResult } from '../store/records.js';
import { toEstimate, isKnown, metricFormat, scaleValue } from './metric-format.js';
import type { MetricFormat } from './metric-format.js';
import { findCost, listPaired } from './row-findings.js';
import { isFamily } from './summary-table.js';

/** As many series as there are colours to tell apart. */
const MOST_SERIES = 8;
/** Further rows are left out of the plots. */
const MOST_PLOTS = 6;

/** Paired differences of the primary metric, with Student's t intervals. */
export function effectsPlot(findings: Findings): ForestPlot {
  const shown = metricFormat(findings, 0);
  const [base, ...others] = findings.rows;
  const { direction, name } = base!.metrics[0]!.metric;
  const side = direction === 'max' ? 'right' : 'left';
  return forestPlot({
    title: `${name}: row − base`,
    x: { label: `row − base, ${shown.unit}; better is to the ${side}`, format: shown.signed },
    reference: 0,
    rows: others.map(({ row, metrics }) => {
      const comparison = listPaired(metrics[0]!);
      const { value, low, high } = comparison
        ? toEstimate(comparison.difference, shown)
        : { value: null, low: null, high: null };
      return { label: row.name, mean: value, low, high };
    }),
    caption: `Better is to the ${side} of the dashed line. Bars are 95\u00a0% intervals of Student's t for each row alone: of twenty rows without any effect, about one misses the line.${isFamily(findings) ? " The p values with Holm's correction take the number of rows into account." : ''}`,
  });
}

/** Plots of at most {@link MOST_SERIES} rows each, the base in all of them. */
function listPlots(
  { rows }: Findings,
  plot: (rows: readonly RowFindings[], suffix: string) => readonly XyPlot[],
): readonly XyPlot[] {
  const [base, ...others] = rows;
  if (rows.length <= MOST_SERIES) return plot(rows, '');
  const size = MOST_SERIES - 1;
  const groups = Math.min(MOST_PLOTS, Math.ceil(others.length / size));
  return Array.from({ length: groups }, (_, i) => {
    const group = others.slice(i * size, (i + 1) * size);
    return plot([base!, ...group], `, rows ${i * size + 1} to ${i * size + group.length}`);
  }).flat();
}

/** How many rows have no series in plots. */
export const leftOut = ({ rows }: Findings): number =>
  Math.max(0, rows.length - 1 - MOST_PLOTS * (MOST_SERIES - 1));

/** Values and paired differences of the primary metric, seed by seed. */
export function seedPlots(findings: Findings): readonly Block[] {
  const shown = metricFormat(findings, 0);
  const { seeds } = findings;
  const isCount = seeds.every((seed, i) => seed === i + 1);
  const x = { label: isCount ? 'seed' : 'seed, in the order of the study' };
  const base = findings.rows[0]!.metrics[0]!;
  const series = (value: (finding: MetricFinding, seed: number) => number | null) => {
    return ({ row, metrics }: RowFindings): Series => ({
      name: row.name,
      points: seeds.map((seed, i) => ({
        x: i + 1,
        y: scaleValue(value(metrics[0]!, seed), shown.factor),
      })),
    });
  };
  const findSeed = (finding: MetricFinding, seed: number) => finding.values.get(seed) ?? null;
  const difference = (finding: MetricFinding, seed: number) => {
    const [own, against] = [findSeed(finding, seed), findSeed(base, seed)];
    if (finding.comparison.kind === 'refused' || own === null || against === null) return null;
    return own - against;
  };
  return listPlots(findings, (rows, suffix) => [
    dotPlot({
      title: `Values${suffix}`,
      width: 'half',
      x,
      y: { label: shown.label, format: shown.format },
      series: rows.map(series(findSeed)),
    }),
    ...(findings.complete
      ? [
          dotPlot({
            title: `Paired differences${suffix}`,
            width: 'half',
            x,
            y: { label: `row − base, ${shown.unit}`, format: shown.signed },
            series: rows.map(series(difference)),
          }),
        ]
      : []),
  ]);
}

/** The primary metric of the validation split over epochs; none if no trial recorded it. */
export function learningPlots(findings: Findings): readonly Block[] {
  const shown = metricFormat(findings, 0);
  const { name } = findings.rows[0]!.metrics[0]!.metric;
  const curves = new Map(findings.rows.map((row) => [row, makeCurve(row, `val/${name}`, shown)]));
  if ([...curves.values()].every(({ length }) => length === 0)) return [];
  return listPlots(findings, (rows, suffix) => [
    linePlot({
      title: `${name} on the validation split by epoch${suffix}`,
      x: { label: 'epoch' },
      y: { label: shown.label.replace(/^test /, 'validation '), format: shown.format },
      series: rows.map((row) => ({ name: row.row.name, points: curves.get(row)! })),
      caption: 'Means over the finished seeds; bands reach from the lowest to the highest.',
    }),
  ]);
}

function makeCurve({ trials }: RowFindings, metric: string, { factor }: MetricFormat): Point[] {
  const byEpoch = new Map<number, number[]>();
  for (const trial of trials.values()) {
    if (!trial || !hasResult(trial)) continue;
    for (const { epoch, metrics } of trial.result.history) {
      const value = metrics[metric];
      if (!Number.isFinite(value)) continue;
      byEpoch.set(epoch, [...(byEpoch.get(epoch) ?? []), value! * factor]);
    }
  }
  return [...byEpoch]
    .sort(([a], [b]) => a - b)
    .map(([x, values]) => ({
      x,
      y: values.reduce((sum, value) => sum + value, 0) / values.length,
      low: Math.min(...values),
      high: Math.max(...values),
    }));
}

/** What rows reach, over what they take. */
export function costPlots(findings: Findings): readonly Block[] {
  const shown = metricFormat(findings, 0);
  const point = (row: RowFindings): Point => {
    const { summary } = row.metrics[0]!;
    const { value, low, high } = summary
      ? toEstimate(summary, shown)
      : { value: null, low: null, high: null };
    return { x: findCost(row, 'seconds')?.mean ?? null, y: value, low, high };
  };
  return listPlots(findings, (rows, suffix) => [
    dotPlot({
      title: `Quality over time${suffix}`,
      x: { label: 'seconds per trial', format: { style: 'fixed', digits: 2 } },
      y: { label: shown.label, format: shown.format },
      series: rows.map((row) => ({ name: row.row.name, points: [point(row)] })),
      caption: "Means over seeds, with 95\u00a0% intervals of Student's t of the metric.",
    }),
  ]);
}

export const hasCosts = ({ rows }: Findings): boolean =>
  rows.some((row) => isKnown(findCost(row, 'seconds')?.mean));
