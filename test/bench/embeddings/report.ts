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

/** Neighbours kept over the size, a line for each method, over all words. */
export function keptPlot(rows: readonly Row[]): XyPlot {
  const methods = [...new Set(rows.map(({ method }) => method))];
  return linePlot({
    title: `${rows[0]!.matrix}: ten nearest neighbours kept`,
    x: { label: 'bytes in float32 over bytes', scale: 'log' },
    y: { label: 'neighbours kept, all words', format: { style: 'percent', digits: 0 } },
    series: methods.map((name) => ({
      name,
      points: rows
        .filter(({ method }) => method === name)
        .map((row) => ({ x: row.input / row.bytes, y: row.all.mean }))
        .sort((a, b) => a.x - b.x),
    })),
  });
}
