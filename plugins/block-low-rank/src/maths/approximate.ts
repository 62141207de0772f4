import type { Matrix } from '@espalier/compression';
import type { Block } from './blocks.js';
import { factorize } from './factorize.js';
import { indexBytes, planBlocks } from './plan.js';
import type { Plan, PlanRequest } from './plan.js';
import { countBytes } from './rank-rules.js';
import { squaredErrors } from './reconstruct.js';
import { invert } from './rows.js';

/** A matrix `[rows, columns]` as blocks of rows in low rank, with what that costs and loses. */
export interface LowRankMatrix {
  readonly rows: number;
  readonly columns: number;
  /** Rows and rank of each block; rank `null`: the block is dense. */
  readonly blocks: readonly Block[];
  /**
   * Of block p `u<p>` `[rows, rank]`, or `w<p>` `[rows, columns]` where it is dense; and `basis`
   * `[sum of ranks, columns]`, the second factors of all blocks one below the other.
   */
  readonly weights: Readonly<Record<string, Matrix>>;
  /** Position of each row of the matrix among the rows of the blocks; absent: they are in order. */
  readonly index?: Int32Array;
  /** Bytes of the weights and of the index. */
  readonly bytes: number;
  /** ‖A − Ã‖ / ‖A‖ (Frobenius); 0 for a matrix of zeros. */
  readonly error: number;
  /** The same with each row's error times its weight, in the metric if there is one. */
  readonly weightedError: number;
  /** Blocks and ranks in words. */
  readonly summary: string;
}

/** Chooses blocks and ranks, and computes their factors. */
export async function approximate(request: PlanRequest): Promise<LowRankMatrix> {
  const { matrix, importance } = request;
  const plan = await planBlocks(request);
  const { partition, permuted, blocks, ranks, whitening } = plan;
  const factorised = await factorize(matrix, blocks, ranks, whitening);
  const squared = squaredErrors(matrix, partition, factorised, importance);
  return {
    rows: matrix.rows,
    columns: matrix.columns,
    ...factorised,
    ...(permuted && { index: invert(partition.order) }),
    bytes: countBytes(blocks, ranks) + indexBytes(permuted, matrix),
    error: ratio(squared.error, squared.norm),
    weightedError: ratio(squared.weightedError, squared.weightedNorm),
    summary: describe(plan),
  };
}

function describe({ blocks, ranks, moved }: Plan): string {
  const list = blocks.map(({ rows }, p) => `${rows}×${ranks[p] ?? 'dense'}`);
  const text = `${blocks.length === 1 ? '1 block' : `${blocks.length} blocks`}, words×rank ${list.join(' ')}`;
  return moved > 0 ? `${text}, ${moved} words moved` : text;
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.sqrt(part / whole);
}
