import { linePlot, table } from '@espalier/report';
import type { Column, Table, XyPlot } from '@espalier/report';
import type { Setting } from './methods.js';
import type { Row } from './run-row.js';

const percent = { style: 'percent', digits: 1 } as const;

const COLUMNS: readonly Column[] = [
  { key: 'method', label: 'method' },
  { key: 'setting', label: 'setting' },
  { key: 'ratio', label: 'ratio', format: { style: 'fixed', digits: 2 } },
  { key: 'all', label: 'kept, all', format: percent, best: 'max' },
  { key: 'allError', label: '±', format: percent },
  { key: 'top', label: 'kept, top 5000', format: percent, best: 'max' },
  { key: 'topError', label: '±', format: percent },
  { key: 'error', label: 'error', format: { style: 'fixed', digits: 3 }, best: 'min' },
  { key: 'weighted', label: 'weighted', format: { style: 'fixed', digits: 3 }, best: 'min' },
  { key: 'seconds', label: 'CPU s', format: { style: 'fixed', digits: 1 } },
  { key: 'peak', label: 'peak MiB', format: { style: 'integer' } },
  { key: 'times', label: '× input', format: { style: 'fixed', digits: 1 } },
];

/** All rows of a matrix at one size. */
export function sizeTable(rows: readonly Row[]): Table {
  const { matrix, ratio } = rows[0]!;
  return table({
    title: `${matrix}, ${ratio}×`,
    columns: COLUMNS,
    rows: rows.map((row) => ({
      method: row.method,
      setting: describe(row.setting),
      ratio: row.input / row.bytes,
      all: row.all.mean,
      allError: row.all.error,
      top: row.top?.mean,
      topError: row.top?.error,
      error: row.error,
      weighted: row.weighted,
      seconds: row.seconds,
      peak: row.peak,
      times: (row.peak * 2 ** 20) / row.input,
    })),
  });
}

/** One measure of methods at all sizes of a matrix, in the order of the methods. */
export function overviewTable(
  rows: readonly Row[],
  methods: readonly string[],
  { title, value, best, digits }: Overview,
): Table {
  const ratios = [...new Set(rows.map(({ ratio }) => ratio))].sort((a, b) => a - b);
  const style = digits === undefined ? percent : ({ style: 'fixed', digits } as const);
  return table({
    title: `${rows[0]!.matrix}: ${title}`,
    columns: [
      { key: 'method', label: 'method' },
      ...ratios.map((ratio): Column => {
        return { key: `at${ratio}`, label: `${ratio}×`, format: style, best };
      }),
    ],
    rows: methods
      .filter((name) => rows.some(({ method }) => method === name))
      .map((method) => ({
        method,
        ...Object.fromEntries(
          rows
            .filter((row) => row.method === method)
            .map((row): [string, number | null | undefined] => [`at${row.ratio}`, value(row)]),
        ),
      })),
  });
}

interface Overview {
  readonly title: string;
  readonly value: (row: Row) => number | null | undefined;
  readonly best: 'max' | 'min';
  /** Without it a share, in per cent. */
  readonly digits?: number;
}

/** What each method keeps and loses. */
export const OVERVIEWS: readonly Overview[] = [
  { title: 'neighbours kept, all rows', value: ({ all }) => all.mean, best: 'max' },
  { title: 'neighbours kept, top 5000', value: ({ top }) => top?.mean, best: 'max' },
  { title: 'error, weighted by counts', value: ({ weighted }) => weighted, best: 'min', digits: 4 },
  { title: 'error', value: ({ error }) => error, best: 'min', digits: 4 },
  { title: 'CPU seconds', value: ({ seconds }) => seconds, best: 'min', digits: 1 },
];

/** The bytes themselves are in the ratio. */
function describe(setting: Setting): string {
  const shown = Object.entries(setting).filter(([name]) => name !== 'budget');
  return shown.map(([name, value]) => `${name} ${value}`).join(', ');
}

/** Lines of the plots: methods that differ in their tables are one, which takes the better at each size. */
const LINES: readonly { readonly name: string; readonly methods: readonly string[] }[] = [
  { name: 'SVD, 8 bits', methods: ['NumPy SVD, 8 bits'] },
  { name: 'weighted SVD, 8 bits', methods: ['NumPy weighted SVD, 8 bits'] },
  { name: 'PCA, 8 bits', methods: ['scikit-learn PCA, 8 bits'] },
  { name: 'rows in 8 and 4 bits', methods: ['NumPy rows, 8 bits', 'NumPy rows, 4 bits'] },
  ...['PQ', 'OPQ', 'RQ'].map((name) => {
    return { name: `faiss ${name}`, methods: [`faiss ${name}`, `faiss ${name}, 4-bit`] };
  }),
  ...['default', 'neighbours', 'counts'].map((objective) => {
    const name = `our codes, ${objective}`;
    return { name, methods: [name] };
  }),
];

/** What a plot shows over the size: the larger its `gain`, the better. */
interface PlotOf {
  readonly name: string;
  readonly y: XyPlot['y'];
  readonly value: (row: Row) => number | null | undefined;
  readonly gain: (value: number) => number;
}

/** The plots of each matrix. */
export const PLOTS: readonly PlotOf[] = [
  {
    name: 'kept',
    y: { label: 'neighbours kept, all rows', format: { style: 'percent', digits: 0 } },
    value: ({ all }) => all.mean,
    gain: (kept) => kept,
  },
  {
    name: 'weighted error',
    y: {
      label: 'relative error, weighted by counts',
      scale: 'log',
      format: { style: 'fixed', digits: 3 },
    },
    value: ({ weighted }) => weighted,
    gain: (error) => -error,
  },
];

/** A measure over the size, a line for each method. */
export function sizePlot(rows: readonly Row[], { name, y, value, gain }: PlotOf): XyPlot {
  const ratios = [...new Set(rows.map(({ ratio }) => ratio))].sort((a, b) => a - b);
  const pointAt = (ratio: number, methods: readonly string[]) =>
    rows
      .filter((row) => row.ratio === ratio && methods.includes(row.method))
      .flatMap((row) => {
        const found = value(row);
        return typeof found === 'number' ? { x: row.input / row.bytes, y: found } : [];
      })
      .sort((a, b) => gain(b.y) - gain(a.y))
      .slice(0, 1);
  return linePlot({
    title: `${rows[0]!.matrix}: ${name} by size`,
    x: { label: 'bytes in float32 over bytes', scale: 'log' },
    y,
    series: LINES.map(({ name: line, methods }) => ({
      name: line,
      points: ratios.flatMap((ratio) => pointAt(ratio, methods)),
    })).filter(({ points }) => points.length > 0),
  });
}
