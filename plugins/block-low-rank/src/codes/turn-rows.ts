import type { Matrix } from '@espalier/compression';
import type { BlockCodesLayout, CodedBlock } from './layout.js';
import type { CodesPlan } from './plan.js';
import { solveSymmetric } from './solve.js';

/** A symmetric root of the metric of errors, and its inverse. */
export interface Metric {
  readonly root: Float64Array;
  readonly inverse: Float64Array;
}

/** The rows of the basis as signed bytes: shared ones first, then those of each block. */
export function roundBasis(
  { curve: { bases }, choices, shared }: CodesPlan,
  { basisRows, columns }: BlockCodesLayout,
  metric: Metric | undefined,
): Int8Array {
  const common = bases.find(({ kind }) => kind === 'shared')?.directions[0];
  const rows = shared.map((k) => ({ vectors: common!, k }));
  choices.forEach(({ basis, bits }, p) => {
    const { kind, directions } = bases[basis]!;
    if (kind !== 'own') return;
    bits.forEach((each, k) => each > 0 && rows.push({ vectors: directions[p]!, k }));
  });
  const bytes = new Int8Array(basisRows * columns);
  rows.forEach(({ vectors, k }, row) => {
    const direction = Float64Array.from({ length: columns }, (_, j) => vectors[j * columns + k]!);
    const values = metric ? applySymmetric(metric.inverse, direction) : direction;
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    values.forEach((value, j) => {
      bytes[row * columns + j] = Math.round((127 * value) / largest);
    });
  });
  return bytes;
}

function applySymmetric(matrix: Float64Array, vector: Float64Array): Float64Array {
  const size = vector.length;
  return vector.map((_, i) => {
    let sum = 0;
    for (let j = 0; j < size; j++) sum += matrix[i * size + j]! * vector[j]!;
    return sum;
  });
}

/** What turns rows into coordinates and back. */
export interface TurnedRows {
  readonly into?: Matrix;
  readonly back?: Matrix;
  readonly units: Float64Array;
}

/** Coordinates that are nearest, in the metric, to a row: of a basis that rounding has left a little askew. */
export function turnRows(
  { basis: kind, directions }: CodedBlock,
  basis: Float32Array,
  columns: number,
  metric: Metric | undefined,
): TurnedRows {
  const count = directions.length;
  if (kind === 'none' || count === 0) return { units: new Float64Array(count).fill(1) };
  const back = new Float32Array(count * columns);
  directions.forEach(({ target }, k) => {
    back.set(basis.subarray(target * columns, (target + 1) * columns), k * columns);
  });
  const measured = metric ? multiplyRows(back, metric.root, count, columns) : back;
  const products = multiplyTransposed(measured, measured, count, columns);
  const units = Float64Array.from({ length: count }, (_, k) => products[k * (count + 1)]!);
  const right = Float64Array.from(
    metric ? multiplyRows(measured, metric.root, count, columns) : back,
  );
  solveSymmetric(products, right, count, columns);
  const into = new Float32Array(count * columns);
  for (let k = 0; k < count; k++) {
    for (let j = 0; j < columns; j++) into[j * count + k] = right[k * columns + j]!;
  }
  return {
    into: { data: into, rows: columns, columns: count },
    back: { data: back, rows: count, columns },
    units,
  };
}

function multiplyRows(
  rows: ArrayLike<number>,
  square: Float64Array,
  count: number,
  columns: number,
): Float64Array {
  const result = new Float64Array(count * columns);
  for (let k = 0; k < count; k++) {
    for (let i = 0; i < columns; i++) {
      const factor = rows[k * columns + i]!;
      for (let j = 0; j < columns; j++) {
        result[k * columns + j]! += factor * square[i * columns + j]!;
      }
    }
  }
  return result;
}

function multiplyTransposed(
  left: ArrayLike<number>,
  right: ArrayLike<number>,
  count: number,
  columns: number,
): Float64Array {
  const result = new Float64Array(count * count);
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < count; k++) {
      let sum = 0;
      for (let j = 0; j < columns; j++) sum += left[i * columns + j]! * right[k * columns + j]!;
      result[i * count + k] = sum;
    }
  }
  return result;
}
