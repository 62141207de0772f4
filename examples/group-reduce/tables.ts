import { barPlot, linePlot, table } from '@espalier/report';
import type { BarPlot, NumberFormat, Table, XyPlot } from '@espalier/report';
import type { RowResult } from './measure-row.js';

const PERPLEXITY: NumberFormat = { style: 'fixed', digits: 2 };
const RATIO: NumberFormat = { style: 'fixed', digits: 1, unit: '×' };
const BYTES: NumberFormat = { style: 'integer' };

/** Perplexity of each row at one ratio. */
export function perplexityTable(
  results: readonly RowResult[],
  ratio: number,
  dense: number,
): Table {
  return table({
    title: `Test perplexity at ${ratio}×`,
    caption: `Dense: ${dense.toFixed(2)}. Each row adds one thing to the row above; the bit rows quantize the retrained row above them, without further training. Matrices: bytes of embedding and softmax before over after, with maps, scales and codebooks.`,
    columns: [
      { key: 'row', label: 'row' },
      { key: 'matrices', label: 'matrices', format: RATIO },
      { key: 'bytes', label: 'bytes', format: BYTES },
      { key: 'before', label: 'before retraining', format: PERPLEXITY },
      { key: 'after', label: 'after', format: PERPLEXITY },
      { key: 'validation', label: 'validation, after', format: PERPLEXITY },
      { key: 'change', label: 'against dense', format: { style: 'percent', digits: 1 } },
    ],
    rows: at(results, ratio).map(({ row, bytes, denseBytes, before, after, retrained }) => ({
      row,
      matrices: denseBytes / bytes,
      bytes,
      before: before.test,
      after: retrained ? after.test : undefined,
      validation: after.validation,
      change: after.test / dense - 1,
    })),
  });
}

/** What each plugin did to each matrix at one ratio. */
export function accountTable(results: readonly RowResult[], ratio: number): Table {
  return table({
    title: `Account of bytes at ${ratio}×`,
    columns: [
      { key: 'row', label: 'row' },
      { key: 'plugin', label: 'plugin' },
      { key: 'layer', label: 'layer' },
      { key: 'what', label: 'what' },
      { key: 'bytesBefore', label: 'bytes before', format: BYTES },
      { key: 'bytesAfter', label: 'after', format: BYTES },
      { key: 'relativeError', label: 'relative error', format: { style: 'fixed', digits: 4 } },
      { key: 'weightedError', label: 'weighted', format: { style: 'fixed', digits: 4 } },
    ],
    rows: at(results, ratio).flatMap(({ row, account }) =>
      account.map((line) => ({ row, ...line })),
    ),
  });
}

/** Perplexity by row, before and after retraining. */
export function perplexityBars(results: readonly RowResult[], ratio: number): BarPlot {
  const rows = at(results, ratio).filter(({ row }) => row !== 'dense');
  const bars = (when: 'before' | 'after') =>
    rows.map((result) => ({ label: result.row, value: result[when].test }));
  return barPlot({
    title: `Test perplexity by row at ${ratio}×`,
    width: 'half',
    value: { label: 'perplexity', format: PERPLEXITY },
    series: [
      { name: 'before retraining', bars: bars('before') },
      { name: 'after', bars: bars('after') },
    ],
  });
}

/** Perplexity against the size of the matrices: a line for each row of the ablation. */
export function frontPlot(results: readonly RowResult[]): XyPlot {
  const rows = [...new Set(results.map(({ row }) => row))].filter((row) => row !== 'dense');
  return linePlot({
    title: 'Test perplexity against the size of the matrices',
    caption: 'Behind retraining, where a row is retrained.',
    x: { label: 'bytes before over after', scale: 'log', format: RATIO },
    y: { label: 'perplexity', format: PERPLEXITY },
    series: rows.map((name) => ({
      name,
      points: results
        .filter(({ row }) => row === name)
        .map(({ denseBytes, bytes, after }) => ({ x: denseBytes / bytes, y: after.test }))
        .sort((a, b) => a.x - b.x),
    })),
  });
}

function at(results: readonly RowResult[], ratio: number): readonly RowResult[] {
  return results.filter((result) => result.ratio === ratio);
}
