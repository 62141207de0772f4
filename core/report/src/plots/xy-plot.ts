import type { Markish, PlotOptions } from '@observablehq/plot';
import { areaY, dot, lineY, ruleX } from '@observablehq/plot';
import { z } from 'zod';
import type { Figure, Frame } from '../figure.js';
import { plotFields } from '../figure.js';
import { seriesStyle } from '../palette.js';
import { tickEms } from '../svg.js';
import { checkInterval, checkUnique, gapNumber, list } from '../values.js';
import type { Placed } from './axis.js';
import { axisScale, axisSchema, isPlaceable, place } from './axis.js';
import { xyTable } from './xy-table.js';

const pointSchema = z
  .strictObject({
    x: gapNumber,
    y: gapNumber,
    /** Ends of an interval around y, drawn as a band or an error bar. */
    low: gapNumber.optional(),
    high: gapNumber.optional(),
  })
  .superRefine(checkInterval);

const seriesSchema = z.strictObject({ name: z.string(), points: list(pointSchema) });

export const xyPlotSchema = z.strictObject({
  /** `linePlot` joins the points in the given order; `dotPlot` does not join them. */
  kind: z.enum(['linePlot', 'dotPlot']),
  ...plotFields,
  x: axisSchema,
  y: axisSchema,
  series: list(seriesSchema).superRefine(checkUnique('name')),
});

/** Points of one or more series over two numeric axes, as plain data. */
export type XyPlot = Readonly<z.infer<typeof xyPlotSchema>>;
export type Series = XyPlot['series'][number];
export type Point = Series['points'][number];

/**
 * Makes a line plot: learning curves, accuracy over cost. A point without y is a gap in its line.
 *
 * @example
 * linePlot({
 *   title: 'Validation accuracy',
 *   x: { label: 'epoch' },
 *   y: { label: 'accuracy', format: { style: 'percent', digits: 0 } },
 *   series: [{ name: 'plain', points: [{ x: 1, y: 0.81 }, { x: 2, y: 0.9, low: 0.88, high: 0.92 }] }],
 * });
 */
export const linePlot = (spec: Omit<XyPlot, 'kind'>): XyPlot => ({ kind: 'linePlot', ...spec });

/** Makes a plot of single points, with error bars where they have an interval. */
export const dotPlot = (spec: Omit<XyPlot, 'kind'>): XyPlot => ({ kind: 'dotPlot', ...spec });

type PlacedPoint = Placed & { readonly x: number };

const placePoints = (spec: XyPlot, { points }: Series): PlacedPoint[] =>
  points.flatMap(({ x, y, low, high }) =>
    isPlaceable(spec.x, x) ? [{ x, ...place(spec.y, { value: y, low, high }) }] : [],
  );

/**
 * All points of a short line have markers. On a long one about eight tell it from the others, and
 * a point without neighbours, which has no line, keeps its own.
 */
function markedPoints(points: readonly PlacedPoint[]): PlacedPoint[] {
  const every = points.length <= 30 ? 1 : Math.ceil(points.length / 8);
  const isGap = (i: number): boolean => Number.isNaN(points[i]?.at ?? NaN);
  return points.filter((_, i) => !isGap(i) && (i % every === 0 || (isGap(i - 1) && isGap(i + 1))));
}

function lineMarks(points: readonly PlacedPoint[], i: number): Markish[] {
  const { color, symbol, dash } = seriesStyle(i);
  const hasBand = points.some(({ low }) => !Number.isNaN(low));
  return [
    hasBand && areaY(points, { x: 'x', y1: 'low', y2: 'high', fill: color, fillOpacity: 0.16 }),
    lineY(points, { x: 'x', y: 'at', stroke: color, strokeWidth: 2, strokeDasharray: dash }),
    dot(markedPoints(points), { x: 'x', y: 'at', symbol, r: 4, fill: color }),
  ].filter((mark) => mark !== false);
}

function dotMarks(points: readonly PlacedPoint[], i: number): Markish[] {
  const { color, symbol } = seriesStyle(i);
  return [
    ruleX(points, { x: 'x', y1: 'low', y2: 'high', stroke: color, strokeWidth: 1.5 }),
    dot(points, { x: 'x', y: 'at', symbol, r: 4.5, fill: color }),
  ];
}

function draw(spec: XyPlot, frame: Frame): PlotOptions | undefined {
  const { width, fontSize } = frame;
  const placed = spec.series.map((series) => placePoints(spec, series));
  const points = placed.flat();
  const height = Math.round(width * (width < 600 ? 0.68 : 0.46));
  const [marginTop, marginBottom, marginRight] = [2.4 * fontSize, 3.2 * fontSize, 2 * fontSize];
  const yScale = axisScale(
    spec.y,
    points.flatMap(({ at, low, high }) => [at, low, high]),
    frame,
    { length: height - marginTop - marginBottom, tickSpacing: 3.4 * fontSize },
  );
  const y = { ...yScale, nice: true, grid: true, inset: 4, tickSize: 0 };
  const marginLeft = Math.ceil(tickEms({ height, marginTop, marginBottom, y }) * fontSize) + 14;
  const xScale = axisScale(
    spec.x,
    points.map(({ x }) => x),
    frame,
    { length: width - marginLeft - marginRight, tickSpacing: 6 * fontSize },
  );
  if (!xScale || !yScale) return undefined;
  return {
    width,
    height,
    marginLeft,
    marginRight,
    marginTop,
    marginBottom,
    x: { ...xScale, inset: 6, tickSize: 4 },
    y,
    marks: placed.map(spec.kind === 'linePlot' ? lineMarks : dotMarks),
  };
}

function describe(spec: XyPlot): string {
  const kind = spec.kind === 'linePlot' ? 'Line plot' : 'Dot plot';
  const names = spec.series.map(({ name }) => name).join(', ') || 'none';
  return `${kind} of ${spec.y.label} over ${spec.x.label}. Series: ${names}. The values are in the data table below.`;
}

export function xyFigure(spec: XyPlot): Figure {
  const { title, caption, width } = spec;
  return {
    kind: 'figure',
    title,
    caption,
    width,
    description: describe(spec),
    legend: spec.series.map(({ name }) => name),
    draw: (frame) => draw(spec, frame),
    data: xyTable(spec),
  };
}
