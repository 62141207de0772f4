import * as tf from '@tensorflow/tfjs-core';
import { chunks, defaultChunkRows } from './chunks.js';
import { largestDiagonal } from './host-products.js';
import { allFinite, notFiniteError, relativeWeights, findScale, selectRows } from './matrix.js';
import type { Matrix, WeightedSelection } from './matrix.js';
import { uploadRows } from './project.js';

/** Options of {@link gram}. */
export interface GramOptions extends WeightedSelection {
  /** Rows uploaded at a time; default those that fill 4 MB. */
  readonly chunkRows?: number;
  /**
   * `single`: products and sums within a chunk in float32 on the backend, sums over chunks in float64.
   * `double`: all in float64 on the host, which takes about ten times as long on wasm.
   */
  readonly precision?: 'single' | 'double';
}

/**
 * The weighted Gram matrix Σ_i w_i a_i a_iᵀ over the selected rows, [columns, columns] row-major. Only
 * one chunk of rows is on the backend at a time, and only one triangle is computed.
 *
 * @throws EspalierError `linalg/size`, `linalg/select`, `linalg/weights`; `linalg/not-finite` with row
 * and column; `linalg/overflow` if weighted squares leave float64.
 * @example
 * const covariance = await gram({ data, rows: 1000, columns: 64 }, { weights: counts }); // [64, 64]
 */
export async function gram(
  a: Matrix,
  { weights, select, chunkRows, precision = 'single' }: GramOptions = {},
): Promise<Float64Array> {
  const rows = selectRows(a, select);
  const { relative, largest } = relativeWeights(a, rows, weights);
  const sumProducts = async (scale: number) => {
    const sum = new Float64Array(a.columns ** 2);
    const add = precision === 'single' ? singleSum(a, sum, scale) : doubleSum(a, sum);
    for await (const chunk of chunks(rows, chunkRows ?? defaultChunkRows(a.columns))) {
      await add(chunk.rows, relative?.subarray(chunk.from));
    }
    return sum;
  };
  let [scale, sum] = [1, await sumProducts(1)];
  if (precision === 'single' && !isWithinFloat32(sum, a.columns)) {
    scale = findScale(a, rows, relative?.map(Math.sqrt));
    sum = await sumProducts(scale);
  }
  mirror(sum, a.columns, largest / scale ** 2);
  if (!allFinite(sum)) throw notFiniteError(a, rows);
  return sum;
}

/** Squares above it are summed in float32 with all that counts beside them. */
const LEAST_SQUARE = 1e-20;

/** Whether nothing overflowed, and nothing that counts came near to underflow. */
function isWithinFloat32(sum: Float64Array, size: number): boolean {
  return largestDiagonal(sum, size) >= LEAST_SQUARE && allFinite(sum);
}

/** Adds the products of one chunk's rows to the lower triangle of a sum. */
type Add = (rows: Int32Array, weights?: Float64Array) => Promise<void> | void;

function doubleSum({ data, columns }: Matrix, sum: Float64Array): Add {
  return (rows, weights) => {
    rows.forEach((row, i) => {
      const values = data.subarray(row * columns, (row + 1) * columns);
      for (let j = 0; j < columns; j++) {
        const scaled = weights ? weights[i]! * values[j]! : values[j]!;
        const target = j * columns;
        for (let k = 0; k <= j; k++) sum[target + k]! += scaled * values[k]!;
      }
    });
  };
}

function singleSum(a: Matrix, sum: Float64Array, scale: number): Add {
  const blocks = columnBlocks(a.columns);
  return async (rows, weights) => {
    const products = tf.tidy(() => blockProducts(scaledRows(a, rows, scale, weights), blocks));
    for (const { i, j, product } of products) {
      addBlock(sum, a.columns, blocks[i]!, blocks[j]!, await product.data<'float32'>());
      product.dispose();
    }
  };
}

/** [rows, columns], each row times the scale and the root of its weight. */
function scaledRows(
  a: Matrix,
  rows: Int32Array,
  scale: number,
  weights?: Float64Array,
): tf.Tensor2D {
  const x = uploadRows(a, rows);
  if (!weights) return scale === 1 ? x : tf.mul(x, scale);
  const factors = weights.subarray(0, rows.length).map((weight) => scale * Math.sqrt(weight));
  return tf.mul(x, tf.tensor2d(Float32Array.from(factors), [rows.length, 1]));
}

/** Products of column blocks, those of the lower triangle. */
function blockProducts(x: tf.Tensor2D, blocks: readonly ColumnBlock[]) {
  const turned = tf.transpose(x);
  // A block of columns is had sooner from the transposed matrix, where it lies in one piece.
  const left = blocks.map(({ start, width }) => tf.slice(turned, [start, 0], [width, -1]));
  const right = blocks.length > 1 ? left.map((block) => tf.transpose(block)) : [x];
  return right.flatMap((columns, j) =>
    left.slice(j).map((rows, at) => ({ i: j + at, j, product: tf.matMul(rows, columns) })),
  );
}

interface ColumnBlock {
  readonly start: number;
  readonly width: number;
}

/** Enough blocks that little of the other triangle is computed, but wide enough for fast products. */
function columnBlocks(columns: number): readonly ColumnBlock[] {
  const count = Math.min(8, Math.max(1, Math.round(columns / 192)));
  const width = 8 * Math.ceil(columns / count / 8);
  return Array.from({ length: Math.ceil(columns / width) }, (_, i) => ({
    start: i * width,
    width: Math.min(width, columns - i * width),
  }));
}

function addBlock(
  sum: Float64Array,
  columns: number,
  left: ColumnBlock,
  right: ColumnBlock,
  product: Float32Array,
): void {
  let from = 0;
  for (let i = left.start; i < left.start + left.width; i++) {
    const to = i * columns + right.start;
    for (let j = 0; j < right.width; j++) sum[to + j]! += product[from++]!;
  }
}

/** Scales the lower triangle and copies it over the upper one. */
function mirror(sum: Float64Array, size: number, scale: number): void {
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      sum[i * size + j]! *= scale;
      sum[j * size + i] = sum[i * size + j]!;
    }
  }
}
