import { checkMatrix } from '@espalier/compression';
import type { Matrix, RankAllocator, VocabPartitioner } from '@espalier/compression';
import { EspalierError, parseOptions } from '@espalier/core';
import { checkBytes, computeTarget } from './budget.js';
import { approximate } from './maths/approximate.js';
import type { LowRankMatrix } from './maths/approximate.js';
import { placeBlocks } from './maths/blocks.js';
import { listPartitions } from './maths/plan.js';
import type { PlanRequest } from './maths/plan.js';
import { greedyRanks } from './maths/rank-rules.js';
import { selectRows } from './maths/rows.js';
import { targetOptions } from './options.js';
import type { TargetOptions } from './options.js';

/** Options of {@link factorMatrix}: a target, and what it is measured by. */
export type FactorOptions = TargetOptions & {
  /** How much each row's error matters, `[rows]`, none negative; default: all alike. */
  readonly weights?: ArrayLike<number> | undefined;
  /** Symmetric positive semi-definite `[columns, columns]`: row i's error is `w_i · eᵀ M e`. */
  readonly metric?: Float64Array | undefined;
  /** How often each row is used, `[rows]`, for `partitioner`. */
  readonly counts?: ArrayLike<number> | undefined;
  /** Cuts the rows into blocks by `counts`; without both the matrix is one block. */
  readonly partitioner?: VocabPartitioner | undefined;
  /** Shares the bytes out among blocks; default `greedyRanks`. */
  readonly allocator?: RankAllocator | undefined;
};

/**
 * Approximates one matrix, block by block in low rank: what `blockLowRank` computes for a layer, without a
 * model or a session. Without a partitioner it is the truncated SVD, with weights the weighted one.
 *
 * @param matrix One row for each word or unit.
 * @throws EspalierError `options/invalid`, `compression/matrix`, `block-low-rank/counts`,
 * `block-low-rank/budget`, `block-low-rank/rank`; of a matrix or weights that are not finite, or too few: `linalg/…`.
 * @see GroupReduce, Chen et al. 2018, arXiv 1806.06950.
 * @example
 * const lowRank = await factorMatrix({ data, rows: 10000, columns: 200 }, { ratio: 4, weights: counts });
 * console.log(lowRank.bytes, lowRank.error);
 * const close = expandFactors(lowRank);
 */
export async function factorMatrix(
  matrix: Matrix,
  options: FactorOptions = {},
): Promise<LowRankMatrix> {
  checkMatrix('factorMatrix', matrix);
  const request = makeRequest(matrix, options);
  checkBytes(request);
  return approximate(request);
}

function makeRequest(
  matrix: Matrix,
  { weights, metric, counts, partitioner, allocator = greedyRanks, ...target }: FactorOptions,
): PlanRequest {
  const parsed = parseOptions('factorMatrix', targetOptions, target);
  const counted = counts && checkLength(Float64Array.from(counts), matrix);
  const rows = weights ? Float64Array.from(weights) : new Float64Array(matrix.rows).fill(1);
  return {
    matrix,
    importance: { rows, ...(metric && { metric }) },
    counts: counted,
    partitions: listPartitions(matrix, counted, partitioner),
    partitioner,
    allocator,
    target: computeTarget(parsed, matrix, matrix.rows * matrix.columns),
  };
}

function checkLength(counts: Float64Array, { rows }: Matrix): Float64Array {
  if (counts.length === rows) return counts;
  throw new EspalierError('block-low-rank/counts', {
    problem: `there are ${counts.length} counts, and the matrix has ${rows} rows`,
    fix: 'Give one count for each row; 0 for rows that are never used.',
  });
}

/**
 * The matrix that factors multiply to, its rows in their first order.
 *
 * @param lowRank From {@link factorMatrix}; its weights may have come through codes since.
 * @returns `[rows, columns]`.
 * @example
 * const close = expandFactors(await factorMatrix(matrix, { rank: 8 }));
 */
export function expandFactors({
  rows,
  columns,
  blocks,
  weights,
  index,
}: Pick<LowRankMatrix, 'rows' | 'columns' | 'blocks' | 'weights' | 'index'>): Matrix {
  const stacked = new Float32Array(rows * columns);
  for (const block of placeBlocks(blocks)) {
    const { data } = weights[block.matrix]!;
    const target = stacked.subarray(block.begin * columns, (block.begin + block.rows) * columns);
    if (block.rank === null) target.set(data);
    else multiplyInto(target, data, weights['basis']!, block.basisBegin);
  }
  return { data: index ? selectRows(stacked, index, columns) : stacked, rows, columns };
}

/** `[n, rank]` times the rows of `basis` from `begin` on. */
function multiplyInto(
  target: Float32Array,
  factors: Float32Array,
  { data, columns }: Matrix,
  begin: number,
): void {
  const rows = target.length / columns;
  const rank = factors.length / rows;
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let k = 0; k < rank; k++) {
        sum += factors[i * rank + k]! * data[(begin + k) * columns + j]!;
      }
      target[i * columns + j] = sum;
    }
  }
}
