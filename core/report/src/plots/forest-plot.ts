import type { Markish, PlotOptions } from '@observablehq/plot';
import { dot, ruleX, ruleY } from '@observablehq/plot';
import { z } from 'zod';
import type { Figure, Frame } from '../figure.js';
import { plotFields } from '../figure.js';
import { estimateFormatter } from '../format.js';
import { seriesStyle } from '../palette.js';
import type { Table } from '../table.js';
import { checkInterval, gapNumber, list } from '../values.js';
import { axisSchema, isPlaceable, place } from './axis.js';
import type { KeyedRow, Row } from './rows.js';
import { plotRows } from './rows.js';

const rowSchema = z
  .strictObject({
    label: z.string(),
    mean: gapNumber,
    /** Ends of the interval, such as a 95 % confidence interval. */
    low: gapNumber.optional(),
    high: gapNumber.optional(),
  })
  .superRefine(checkInterval);

export const forestPlotSchema = z.strictObject({
  kind: z.literal('forestPlot'),
  ...plotFields,
  x: axisSchema,
  rows: list(rowSchema),
  /** A value to compare with, drawn as a dashed line: 0 for differences, 1 for ratios. */
  reference: z.number().optional(),
});

/** Means with their intervals, one row each, as plain data. */
export type ForestPlot = Readonly<z.infer<typeof forestPlotSchema>>;

/**
 * Makes a forest plot: effects with their intervals against a line of no effect.
 *
 * @example
 * forestPlot({
 *   title: 'Change in accuracy against plain training',
 *   x: { label: 'percentage points' },
 *   reference: 0,
 *   rows: [{ label: 'deep supervision', mean: 0.8, low: 0.3, high: 1.3 }],
 * });
 */
export const forestPlot = (spec: Omit<ForestPlot, 'kind'>): ForestPlot => ({
  kind: 'forestPlot',
  ...spec,
});

function toTable({ x, rows }: ForestPlot): Table {
  return {
    kind: 'table',
    columns: [
      { key: 'label', label: 'Name' },
      { key: 'mean', label: x.label, format: x.format },
    ],
    rows: rows.map(({ label, mean, low, high }) => ({ label, mean: { value: mean, low, high } })),
  };
}

function toRows({ x, rows }: ForestPlot): Row[] {
  const write = estimateFormatter(x.format);
  return rows.map(({ label, mean, low, high }) => {
    const estimate = { value: mean, low, high };
    return { label, series: 0, value: { ...place(x, estimate), written: write(estimate) } };
  });
}

function marks(rows: readonly KeyedRow[], reference: number | undefined): Markish[] {
  const { color, symbol } = seriesStyle(0);
  return [
    ruleX(reference === undefined ? [] : [reference], { strokeDasharray: '4 3' }),
    ruleY(rows, {
      x1: (row: Row) => row.value?.low,
      x2: (row: Row) => row.value?.high,
      y: 'key',
      stroke: color,
      strokeWidth: 2,
    }),
    dot(rows, { x: (row: Row) => row.value?.at, y: 'key', symbol, r: 4.5, fill: color }),
  ];
}

function draw(spec: ForestPlot, frame: Frame): PlotOptions | undefined {
  const rows = toRows(spec);
  const values = rows.flatMap(({ value }) => (value ? [value.at, value.low, value.high] : []));
  if (values.every(Number.isNaN)) return undefined;
  const reference = isPlaceable(spec.x, spec.reference) ? spec.reference : undefined;
  return plotRows(rows, spec.x, [...values, reference], frame, {
    values: 'column',
    draw: (keyed) => marks(keyed, reference),
  });
}

export function forestFigure(spec: ForestPlot): Figure {
  const { title, caption, width } = spec;
  const reference = spec.reference === undefined ? '' : ` against ${spec.reference}`;
  return {
    kind: 'figure',
    title,
    caption,
    width,
    description: `Forest plot of ${spec.x.label}${reference}. The values are in the data table below.`,
    draw: (frame) => draw(spec, frame),
    data: toTable(spec),
  };
}
