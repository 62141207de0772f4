import type { Table } from '../table.js';
import type { Cell } from '../values.js';
import { interval } from '../values.js';
import type { Point, XyPlot } from './xy-plot.js';

const estimate = (point: Point | undefined): Cell =>
  point && interval(point) ? { value: point.y, low: point.low, high: point.high } : point?.y;

function haveSameX({ series: [first, ...others] }: XyPlot): boolean {
  return others.every(
    ({ points }) =>
      points.length === first?.points.length &&
      points.every(({ x }, i) => Object.is(x, first.points[i]?.x)),
  );
}

/** One row for each x, one column for each series. */
function wideTable({ x, y, series }: XyPlot): Table {
  const rows = (series[0]?.points ?? []).map(({ x: at }, row) => {
    const cells = series.map(({ points }, i) => [`y${i}`, estimate(points[row])]);
    return { x: at, ...Object.fromEntries(cells) };
  });
  const ys = series.map(({ name }, i) => ({ key: `y${i}`, label: name, format: y.format }));
  return { kind: 'table', columns: [{ key: 'x', label: x.label, format: x.format }, ...ys], rows };
}

/** One row for each point. */
function longTable({ x, y, series }: XyPlot): Table {
  const columns = [
    { key: 'series', label: 'Series' },
    { key: 'x', label: x.label, format: x.format },
    { key: 'y', label: y.label, format: y.format },
  ];
  const rows = series.flatMap(({ name, points }) =>
    points.map((point) => ({ series: name, x: point.x, y: estimate(point) })),
  );
  return { kind: 'table', columns, rows };
}

/** The points as a table, the compact one where all series have the same x. */
export const xyTable = (spec: XyPlot): Table =>
  spec.series.length > 0 && haveSameX(spec) ? wideTable(spec) : longTable(spec);
