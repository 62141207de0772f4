import type { Markish, PlotOptions } from '@observablehq/plot';
import { barX, ruleX, ruleY, text } from '@observablehq/plot';
import { z } from 'zod';
import type { Figure, Frame } from '../figure.js';
import { plotFields } from '../figure.js';
import { numberFormatter } from '../format.js';
import { seriesStyle } from '../palette.js';
import type { Table } from '../table.js';
import type { Estimate } from '../values.js';
import { checkInterval, checkUnique, gapNumber, list } from '../values.js';
import { axisSchema, place } from './axis.js';
import type { KeyedRow, Row } from './rows.js';
import { plotRows } from './rows.js';

const barSchema = z
  .strictObject({
    label: z.string(),
    value: gapNumber,
    /** Ends of an interval around the value, drawn as an error bar. */
    low: gapNumber.optional(),
    high: gapNumber.optional(),
  })
  .superRefine(checkInterval);

const seriesSchema = z.strictObject({
  name: z.string(),
  bars: list(barSchema).superRefine(checkUnique('label')),
});

export const barPlotSchema = z.strictObject({
  kind: z.literal('barPlot'),
  ...plotFields,
  /** The axis of the values; it always holds zero, where bars begin, so it cannot be `log`. */
  value: axisSchema.refine(({ scale }) => scale !== 'log', {
    path: ['scale'],
    message: 'bars begin at zero, which a log axis does not have; use a dotPlot',
  }),
  /** Bars with the same label in several series stand together. */
  series: list(seriesSchema).superRefine(checkUnique('name')),
});

/** Horizontal bars of one or more series, as plain data. */
export type BarPlot = Readonly<z.infer<typeof barPlotSchema>>;

/**
 * Makes a bar plot, each bar with its name and value next to it.
 *
 * @example
 * barPlot({
 *   title: 'Accuracy per exit',
 *   value: { label: 'accuracy', domain: [0, 1], format: { style: 'percent', digits: 1 } },
 *   series: [{ name: 'plain', bars: [{ label: 'exit 1', value: 0.81 }] }],
 * });
 */
export const barPlot = (spec: Omit<BarPlot, 'kind'>): BarPlot => ({ kind: 'barPlot', ...spec });

const listLabels = ({ series }: BarPlot): string[] => [
  ...new Set(series.flatMap(({ bars }) => bars.map(({ label }) => label))),
];

function toRow(spec: BarPlot, name: string, bar: Estimate, series: number): Row {
  const written = numberFormatter(spec.value.format)(bar.value ?? NaN);
  return { label: name, series, value: { ...place(spec.value, bar), written } };
}

/** Bars of one label stand under a heading, named by their series; of one series, by their label. */
function toRows(spec: BarPlot): Row[] {
  const [first] = spec.series;
  if (first && spec.series.length === 1) {
    return first.bars.map((bar) => toRow(spec, bar.label, bar, 0));
  }
  return listLabels(spec).flatMap((label) => [
    { label, series: 0 },
    ...spec.series.flatMap(({ name, bars }, i) =>
      bars.filter((bar) => bar.label === label).map((bar) => toRow(spec, name, bar, i)),
    ),
  ]);
}

const findReach = ({ value }: Row): number[] => (value ? [value.at, value.low, value.high] : []);

/** Right of the whole bar, or of zero where it is negative: there is always room for text. */
const writtenAt = (row: Row): number =>
  Math.max(0, ...findReach(row).filter((end) => !Number.isNaN(end)));

const marks = (rows: readonly KeyedRow[]): Markish[] => [
  barX(rows, {
    x1: 0,
    x2: (row: Row) => row.value?.at,
    y: 'key',
    fill: (row: Row) => seriesStyle(row.series).color,
  }),
  // The wide rule below keeps the error bar apart from a bar that is as dark as it.
  ...[
    { stroke: 'var(--page)', strokeWidth: 4.5 },
    { stroke: 'currentColor', strokeWidth: 1.5 },
  ].map((style) =>
    ruleY(rows, {
      x1: (row: Row) => row.value?.low,
      x2: (row: Row) => row.value?.high,
      y: 'key',
      ...style,
    }),
  ),
  ruleX([0]),
  text(rows, {
    x: writtenAt,
    y: 'key',
    text: (row: Row) => row.value?.written,
    dx: 6,
    textAnchor: 'start',
    fontVariant: 'tabular-nums',
  }),
];

function draw(spec: BarPlot, frame: Frame): PlotOptions | undefined {
  const rows = toRows(spec);
  const values = rows.flatMap(findReach);
  if (values.every(Number.isNaN)) return undefined;
  return plotRows(rows, spec.value, [0, ...values], frame, { values: 'beside', draw: marks });
}

function toTable(spec: BarPlot): Table {
  const format = spec.value.format;
  const columns = spec.series.map(({ name }, i) => ({ key: `s${i}`, label: name, format }));
  const rows = listLabels(spec).map((label) => {
    const cells = spec.series.map(({ bars }, i) => {
      const bar = bars.find((candidate) => candidate.label === label);
      return [`s${i}`, bar && { value: bar.value, low: bar.low, high: bar.high }];
    });
    return { label, ...Object.fromEntries(cells) };
  });
  return { kind: 'table', columns: [{ key: 'label', label: 'Name' }, ...columns], rows };
}

export function barFigure(spec: BarPlot): Figure {
  const { title, caption, width } = spec;
  const names = spec.series.map(({ name }) => name).join(', ') || 'none';
  return {
    kind: 'figure',
    title,
    caption,
    width,
    description: `Bar plot of ${spec.value.label}. Series: ${names}. The values are in the data table below.`,
    draw: (frame) => draw(spec, frame),
    data: toTable(spec),
  };
}
