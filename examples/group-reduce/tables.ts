import { forestPlot, linePlot, table } from '@espalier/report';
import type { Column, ForestPlot, NumberFormat, Table, XyPlot } from '@espalier/report';
import type { OnTest, RowResult } from './measure-row.js';

const PERPLEXITY: NumberFormat = { style: 'fixed', digits: 2 };
const RATIO: NumberFormat = { style: 'fixed', digits: 1, unit: '×' };
const NATS: NumberFormat = { style: 'fixed', digits: 3 };
const ERROR: NumberFormat = { style: 'fixed', digits: 4 };
const BYTES: NumberFormat = { style: 'integer' };

const ROW: Column = { key: 'row', label: 'row' };
const MATRICES: Column = { key: 'matrices', label: 'matrices', format: RATIO };
const AGAINST_DENSE: Column = {
  key: 'change',
  label: 'against dense',
  format: { style: 'percent', digits: 1 },
};

/** The cells that tables of perplexity have in common. */
function cellsOf(result: RowResult, dense: OnTest) {
  const { row, after } = result;
  const change = after.test / dense.test - 1;
  return { row, matrices: timesSmaller(result), validation: after.validation, change };
}

/** Bytes of both matrices when dense, over their bytes. */
function timesSmaller({ denseBytes, bytes }: RowResult): number {
  return denseBytes / bytes;
}

/** Perplexity of each row at one ratio. */
export function perplexityTable(
  results: readonly RowResult[],
  ratio: number,
  dense: OnTest,
): Table {
  return table({
    title: `Test perplexity at ${ratio}×`,
    caption: `Dense: ${dense.test.toFixed(2)}. Each row adds one thing to the row above; the bit rows quantize the retrained row above them, without further training. Matrices: bytes of embedding and softmax before over after, with maps, scales and codebooks.`,
    columns: [
      ROW,
      MATRICES,
      { key: 'bytes', label: 'bytes', format: BYTES },
      { key: 'before', label: 'before retraining', format: PERPLEXITY },
      { key: 'after', label: 'after', format: PERPLEXITY },
      { key: 'validation', label: 'validation, after', format: PERPLEXITY },
      AGAINST_DENSE,
    ],
    rows: at(results, ratio).map((result) => ({
      ...cellsOf(result, dense),
      bytes: result.bytes,
      before: result.before.test,
      after: result.retrained ? result.after.test : undefined,
    })),
  });
}

/** What each plugin did to each matrix at one ratio. */
export function accountTable(results: readonly RowResult[], ratio: number): Table {
  return table({
    title: `Account of bytes at ${ratio}×`,
    columns: [
      ROW,
      { key: 'plugin', label: 'plugin' },
      { key: 'layer', label: 'layer' },
      { key: 'summary', label: 'what' },
      { key: 'bytesBefore', label: 'bytes before', format: BYTES },
      { key: 'bytesAfter', label: 'after', format: BYTES },
      { key: 'relativeError', label: 'relative error', format: ERROR },
      { key: 'weightedError', label: 'weighted', format: ERROR },
    ],
    rows: at(results, ratio).flatMap(({ row, account }) =>
      account.map(
        ({ plugin, layer, summary, bytesBefore, bytesAfter, relativeError, weightedError }) => ({
          ...{ row, plugin, layer, summary, bytesBefore, bytesAfter, relativeError },
          ...(weightedError !== undefined && { weightedError }),
        }),
      ),
    ),
  });
}

/** Results that no other beats in both bytes and validation perplexity, the larger first. */
export function frontTable(results: readonly RowResult[], dense: OnTest): Table {
  const front = results.filter((each) => !results.some((other) => beats(other, each)));
  front.sort((a, b) => b.bytes - a.bytes);
  return table({
    title: 'The best of every size, chosen on the validation text',
    caption: 'Each has the lowest validation perplexity of all rows that take no more bytes.',
    columns: [
      ROW,
      { key: 'ratio', label: 'factors', format: RATIO },
      MATRICES,
      { key: 'validation', label: 'validation', format: PERPLEXITY },
      { key: 'test', label: 'test', format: PERPLEXITY },
      AGAINST_DENSE,
    ],
    rows: front.map((result) => ({
      ...cellsOf(result, dense),
      ratio: result.ratio,
      test: result.after.test,
    })),
  });
}

function beats(one: RowResult, other: RowResult): boolean {
  const better = one.after.validation - other.after.validation;
  const smaller = one.bytes - other.bytes;
  return better <= 0 && smaller <= 0 && better + smaller < 0;
}

/** Perplexity of each row of one ratio as compressed, and behind retraining. */
export function perplexityPlots(
  results: readonly RowResult[],
  ratio: number,
  dense: OnTest,
): ForestPlot[] {
  const plot = (title: string, shown: readonly RowResult[], when: 'before' | 'after') =>
    forestPlot({
      title: `${title} at ${ratio}×`,
      caption: 'Dashed: the dense model.',
      width: 'half',
      x: { label: 'test perplexity', format: PERPLEXITY },
      reference: dense.test,
      rows: shown.map((result) => ({ label: result.row, mean: result[when].test })),
    });
  const rows = at(results, ratio);
  const retrained = rows.filter((result) => result.retrained);
  return [
    plot(
      'As compressed',
      rows.filter(({ row }) => row !== 'dense'),
      'before',
    ),
    ...(retrained.length > 0 ? [plot('Behind retraining', retrained, 'after')] : []),
  ];
}

/** Rows that the plots by decile show, where they are there. */
const SHOWN = ['dense', 'SVD', 'blocks', 'weights', 'better importance', '8-bit', '4-bit'];

/** Loss and errors of one ratio by how frequent the words are. */
export function decilePlots(results: readonly RowResult[], ratio: number, dense: OnTest): XyPlot[] {
  const rows = at(results, ratio).filter(({ row }) => SHOWN.includes(row));
  const plot = (title: string, label: string, format: NumberFormat, of: DecilesOf) =>
    linePlot({
      title: `${title} at ${ratio}×`,
      width: 'half',
      x: { label: 'decile of words, the frequent ones first', format: BYTES },
      y: { label, format },
      series: rows.map((result) => ({
        name: result.row,
        points: of(result).map((y, decile) => ({ x: decile + 1, y })),
      })),
    });
  const above = ({ after }: RowResult) => after.deciles.map((nats, i) => nats - dense.deciles[i]!);
  const errors = Object.keys(rows[0]?.errors ?? {}).map((matrix) =>
    plot(`Error of ${matrix}`, 'relative error', ERROR, ({ errors }) => errors[matrix]!),
  );
  return [plot('Loss above the dense model', 'nats a word, test', NATS, above), ...errors];
}

type DecilesOf = (result: RowResult) => readonly number[];

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
        .map((result) => ({ x: timesSmaller(result), y: result.after.test }))
        .sort((a, b) => a.x - b.x),
    })),
  });
}

/** The rows of one ratio, and those that have none. */
function at(results: readonly RowResult[], ratio: number): readonly RowResult[] {
  return results.filter((result) => result.ratio === ratio || result.ratio === 1);
}
