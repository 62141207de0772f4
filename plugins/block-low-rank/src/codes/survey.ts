import type { Matrix } from '@espalier/compression';
import { EspalierError, keyedRng } from '@espalier/core';
import { gram } from '@espalier/linalg';
import type { Cells } from './cells.js';
import { readChunks } from './row-source.js';
import type { RowChunk, RowSource } from './row-source.js';

/** Rows that stand for the others of their group. */
export interface Sample extends Matrix {
  /** Row numbers, rising, `[sample rows]`. */
  readonly ids: Int32Array;
  /** How many rows each stands for. */
  readonly copies: Float64Array;
}

/** What one pass over the rows tells: enough for all that is chosen. */
export interface Survey {
  /** Of each division into groups, of each group: the weighted Gram matrix `[columns, columns]`. */
  readonly grams: readonly (readonly Float64Array[])[];
  readonly sample: Sample;
}

/** Called with the rows that were read and all that there are. */
export type OnRows = (done: number, total: number) => void;

/** Rows looked at of each group. */
const SAMPLED = 512;

/**
 * Squared lengths of all rows.
 *
 * @throws EspalierError `block-codes/not-finite` with row and column.
 */
export async function measureLengths(source: RowSource, onRows?: OnRows): Promise<Float64Array> {
  const squares = new Float64Array(source.rows);
  for await (const { data, rows, columns, begin } of readChunks(source)) {
    for (let i = 0; i < rows; i++) {
      let sum = 0;
      for (let at = i * columns; at < (i + 1) * columns; at++) sum += data[at]! ** 2;
      squares[begin + i] = sum;
    }
    const bad = squares.subarray(begin, begin + rows).findIndex((sum) => !Number.isFinite(sum));
    if (bad >= 0) throw notFinite(data, bad, columns, begin);
    onRows?.(begin + rows, source.rows);
  }
  return squares;
}

function notFinite(data: Float32Array, row: number, columns: number, begin: number) {
  const values = data.subarray(row * columns, (row + 1) * columns);
  const column = values.findIndex((value) => !Number.isFinite(value));
  return new EspalierError('block-codes/not-finite', {
    problem: `the matrix is not finite at row ${begin + row}, column ${column}`,
    received: values[column],
    fix: 'Repair the matrix, or leave the row out.',
  });
}

/**
 * One pass over the rows: sums for each group of each division, and a sample.
 *
 * @param weights What the squared error of each row weighs.
 * @param divisions At least one; the sample is drawn from the groups of the first.
 */
export async function surveyRows(
  source: RowSource,
  weights: Float64Array,
  divisions: readonly Cells[],
  onRows?: OnRows,
): Promise<Survey> {
  const { rows, columns } = source;
  const grams = divisions.map(({ sizes }) => sizes.map(() => new Float64Array(columns ** 2)));
  const { ids, copies } = drawSample(divisions[0]!);
  const data = new Float32Array(ids.length * columns);
  let taken = 0;
  for await (const chunk of readChunks(source)) {
    for (const [d, cells] of divisions.entries()) await addGrams(grams[d]!, chunk, weights, cells);
    for (; taken < ids.length && ids[taken]! < chunk.begin + chunk.rows; taken++) {
      const from = (ids[taken]! - chunk.begin) * columns;
      data.set(chunk.data.subarray(from, from + columns), taken * columns);
    }
    onRows?.(chunk.begin + chunk.rows, rows);
  }
  return { grams, sample: { data, rows: ids.length, columns, ids, copies } };
}

async function addGrams(
  sums: readonly Float64Array[],
  chunk: RowChunk,
  weights: Float64Array,
  cells: Cells,
): Promise<void> {
  const own = weights.subarray(chunk.begin, chunk.begin + chunk.rows);
  for (const [cell, select] of splitRows(chunk, cells)) {
    if (select.every((row) => own[row] === 0)) continue;
    const added = await gram(chunk, { select, weights: own });
    const sum = sums[cell]!;
    for (let i = 0; i < sum.length; i++) sum[i]! += added[i]!;
  }
}

/** The rows of a chunk by group, numbered within the chunk. */
export function splitRows(
  { begin, rows }: Pick<RowChunk, 'begin' | 'rows'>,
  { of, sizes }: Cells,
): ReadonlyMap<number, Int32Array> {
  const counts = new Int32Array(sizes.length);
  for (let i = 0; i < rows; i++) counts[of[begin + i]!]!++;
  const lists = new Map<number, Int32Array>();
  counts.forEach((count, cell) => count > 0 && lists.set(cell, new Int32Array(count)));
  const next = new Int32Array(sizes.length);
  for (let i = 0; i < rows; i++) {
    const cell = of[begin + i]!;
    lists.get(cell)![next[cell]!++] = i;
  }
  return lists;
}

/** Equally many rows of each group, by chance. */
function drawSample({ of, sizes }: Cells): Pick<Sample, 'copies' | 'ids'> {
  const draw = keyedRng('block-codes', 'sample', of.length);
  const left = [...sizes];
  const wanted = sizes.map((size) => Math.min(size, SAMPLED));
  const ids: number[] = [];
  const copies: number[] = [];
  of.forEach((cell, row) => {
    const take = draw() * left[cell]! < wanted[cell]!;
    left[cell]!--;
    if (!take) return;
    wanted[cell]!--;
    ids.push(row);
    copies.push(Math.max(1, sizes[cell]! / SAMPLED));
  });
  return { ids: Int32Array.from(ids), copies: Float64Array.from(copies) };
}
