import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { BlockMatrix } from '../layers/block-matrix.js';

/** What a block's rows are multiplied with, on the host: some columns of a matrix. */
export class LeftFactor {
  /** Euclidean length of every row. */
  readonly lengths: Float64Array;

  constructor(
    private readonly data: Float32Array,
    private readonly stride: number,
    private readonly begin: number,
    private readonly columns: number,
  ) {
    this.lengths = Float64Array.from({ length: data.length / stride }, (_, row) => {
      let square = 0;
      for (let i = row * stride + begin, end = i + columns; i < end; i++) square += data[i]! ** 2;
      return Math.sqrt(square);
    });
  }

  /** Some rows `[n, width]`: ones where there are no more columns. */
  pick(rows: readonly number[], width: number): Tensor2D {
    const { data, stride, begin, columns } = this;
    const picked = new Float32Array(rows.length * width).fill(1);
    rows.forEach((row, n) => {
      const from = row * stride + begin;
      picked.set(data.subarray(from, from + columns), n * width);
    });
    return tf.tensor2d(picked, [rows.length, width]);
  }
}

/**
 * The left factor of every block: its part of `x Bᵀ`, or `x` itself for a dense block.
 *
 * @param basis `Bᵀ` `[columns, sum of ranks]`, if any block is not dense.
 */
export async function computeLeftFactors(
  { blocks, columns }: BlockMatrix,
  x: Tensor2D,
  basis: Tensor2D | undefined,
): Promise<readonly LeftFactor[]> {
  const product = basis && tf.matMul(x, basis);
  const dense = blocks.some(({ rank }) => rank === null);
  const [coefficients, inputs] = await Promise.all([
    product?.data<'float32'>(),
    dense ? x.data<'float32'>() : undefined,
  ]);
  product?.dispose();
  return blocks.map(({ rank, basisBegin }) =>
    rank === null
      ? new LeftFactor(inputs!, columns, 0, columns)
      : new LeftFactor(coefficients!, basis!.shape[1], basisBegin, rank),
  );
}
