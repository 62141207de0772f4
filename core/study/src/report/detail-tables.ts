import { code, missing, table } from '@espalier/report';
import type { Code, Column, Table } from '@espalier/report';
import type { Findings, RowFindings } from '../analysis/findings.js';
import { testEquivalence } from '../statistics/equivalence.js';
import type { TrialCost } from '../store/records.js';
import { describeEffect } from './contrast-tables.js';
import { toEstimate, formatInterval, isKnown, metricFormat, scaleValue } from './metric-format.js';
import { columnFormats } from './number-text.js';
import {
  findCost,
  listFailedTrials,
  hasNoSpread,
  NO_SPREAD,
  listPaired,
  listRefusals,
} from './row-findings.js';
import { comparedRows, isFamily } from './summary-table.js';

/** All of the paired comparison of the primary metric: both intervals, both p values. */
export function differencesTable(findings: Findings): Table {
  const shown = metricFormat(findings, 0);
  const margin = findings.smallestEffects[findings.rows[0]!.metrics[0]!.metric.name];
  const tested = [
    { key: 'p', label: 'p', format: columnFormats.p },
    { key: 'corrected', label: 'p (Holm)', format: columnFormats.p },
  ];
  const rows = comparedRows(findings, 0).map(({ row, metrics }) => {
    const comparison = listPaired(metrics[0]!)!;
    const { difference, corrected } = comparison;
    const { n, sd, t, p, bootstrap } = difference;
    const none = hasNoSpread(comparison) ? NO_SPREAD : undefined;
    return {
      row: row.name,
      pairs: n,
      mean: toEstimate(difference, shown),
      bootstrap: bootstrap && formatInterval(bootstrap, shown),
      sd: scaleValue(sd, shown.factor),
      t,
      p: none ?? p,
      corrected: none ?? corrected,
      effect:
        margin === undefined
          ? undefined
          : describeEffect(findings, 0, testEquivalence(difference, margin)),
    };
  });
  return table({
    title: `Paired comparisons, ${shown.unit}`,
    columns: [
      { key: 'row', label: 'Row' },
      { key: 'pairs', label: 'Pairs' },
      { key: 'mean', label: "Mean, 95\u00a0% of Student's t", format: shown.signed },
      { key: 'bootstrap', label: '95\u00a0% of the bootstrap', align: 'right' },
      { key: 'sd', label: 'Standard deviation', format: shown.format },
      { key: 't', label: 't', format: { style: 'fixed', digits: 2 } },
      ...(isFamily(findings) ? tested : []),
      ...(margin === undefined ? [] : [{ key: 'effect', label: 'Effects that matter' }]),
    ],
    rows,
    caption:
      'Bootstrap: bias-corrected and accelerated. With few pairs (ten or fewer) it is too narrow: report the interval of t.',
  });
}

/** Rows that are not compared in some metric, and why. */
export function refusalsTable({ rows }: Findings): Table {
  return table({
    title: 'Not compared',
    columns: [
      { key: 'row', label: 'Row' },
      { key: 'why', label: 'Why' },
    ],
    rows: rows
      .map(({ row, metrics }) => ({ row: row.name, why: listRefusals(metrics).join('\n') }))
      .filter(({ why }) => why !== ''),
  });
}

interface AddedCost {
  readonly cost: keyof TrialCost;
  readonly name: string;
  readonly unit: string;
  readonly size: number;
  /** Ratios below it are noise of the measurement: a gain divided by noise is none. */
  readonly least: number;
}

const ADDED: readonly AddedCost[] = [
  { cost: 'seconds', name: 'Time', unit: 'second', size: 1, least: 1.05 },
  { cost: 'cpuSeconds', name: 'CPU time', unit: 'CPU second', size: 1, least: 1.05 },
  { cost: 'peakMemory', name: 'Memory', unit: 'MB', size: 1e6, least: 1.05 },
  { cost: 'modelBytes', name: 'Model', unit: 'kB', size: 1e3, least: 1 },
  { cost: 'macs', name: 'MACs', unit: 'million', size: 1e6, least: 1 },
];

/** Costs in which some row is other than the base. */
const addedCosts = ({ rows }: Findings): readonly AddedCost[] =>
  ADDED.filter(({ cost }) => rows.some((row) => (findCost(row, cost)?.ratio ?? 1) !== 1));

export const hasAddedCosts = (findings: Findings): boolean => addedCosts(findings).length > 0;

/** What rows cost against the base, and what they gain for it. */
export function effectsTable(findings: Findings): Table {
  const { factor, unit } = metricFormat(findings, 0);
  const added = addedCosts(findings);
  const perUnit = { style: 'significant', digits: 3, plus: true } as const;
  const columns = added.flatMap(({ cost, name, unit: per }): Column[] => [
    { key: `${cost}-ratio`, label: `${name} / base`, format: columnFormats.ratio },
    { key: `${cost}-effect`, label: `Per added ${per}`, format: perUnit, align: 'right' },
  ]);
  const cells = (row: RowFindings) =>
    added.flatMap(({ cost, size, least }) => {
      const { ratio, effect } = findCost(row, cost) ?? {};
      const isReal = isKnown(ratio) && ratio >= least;
      return [
        [`${cost}-ratio`, ratio],
        [`${cost}-effect`, isReal ? scaleValue(effect, factor * size) : null],
      ];
    });
  return table({
    title: `Cost against the base, and ${unit} gained per added cost`,
    columns: [{ key: 'row', label: 'Row' }, ...columns],
    rows: findings.rows
      .slice(1)
      .map((row) => ({ row: row.row.name, ...Object.fromEntries(cells(row)) })),
    caption: `A gain is the paired difference divided by the added cost. ${missing}: the row is not compared, or adds no cost, or adds less than 5\u00a0% of time or memory, which may be noise.`,
  });
}

/** Trials that have no result. */
export function failuresTable(findings: Findings): Table {
  return table({
    columns: [
      { key: 'row', label: 'Row' },
      { key: 'seed', label: 'Seed', format: { style: 'integer' } },
      { key: 'attempts', label: 'Attempts' },
      { key: 'code', label: 'Code' },
      { key: 'message', label: 'Message' },
    ],
    rows: listFailedTrials(findings).map(({ row, seed, attempts, failure }) => ({
      row,
      seed,
      attempts,
      ...failure,
    })),
  });
}

/** What every row changes, field by field. */
export function changesTable({ rows }: Findings): Table {
  return table({
    columns: [
      { key: 'row', label: 'Row' },
      { key: 'change', label: 'Change' },
    ],
    rows: rows.slice(1).map(({ row }) => ({ row: row.name, change: row.diff.join('\n') })),
    caption: 'All differences to the base, one field in each line.',
  });
}

/** The same changes as flags of the command line. */
export function changesCode({ rows }: Findings): Code {
  const flags = rows
    .filter(({ row }) => row.sets.length > 0)
    .map(({ row }) => [`# ${row.name.replace(/\s+/g, ' ')}`, ...row.sets.map(flag)].join('\n'));
  return code({ summary: 'The same as options of the command line', text: flags.join('\n\n') });
}

const flag = (set: string): string => `--set '${set.replaceAll("'", String.raw`'\''`)}'`;
