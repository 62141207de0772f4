import type {
  ImportanceWeights,
  Matrix,
  RankAllocator,
  VocabPartition,
  VocabPartitioner,
} from '@espalier/compression';
import { EspalierError } from '@espalier/core';
import { project } from '@espalier/linalg';
import { countNumbers } from './blocks.js';
import { countBytes, computeError, feasibleRank } from './rank-rules.js';
import { analyse, computeWhitening } from './spectrum.js';
import type { AnalysedBlock, Whitening } from './spectrum.js';

/** How small, or how close, a matrix shall become. */
export type ErrorOrSize =
  | { readonly bytes: number }
  /** √(weighted error / weighted norm), at most. */
  | { readonly error: number }
  /** Of each block, or of all. */
  | { readonly ranks: number | readonly number[] };

/** What the approximation of one matrix starts from. */
export interface PlanRequest {
  readonly matrix: Matrix;
  readonly importance: ImportanceWeights;
  readonly counts?: Float64Array | undefined;
  /** To choose from; at least one is within the target. */
  readonly partitions: readonly VocabPartition[];
  readonly partitioner?: VocabPartitioner | undefined;
  readonly allocator: RankAllocator;
  readonly target: ErrorOrSize;
}

/** Blocks, what is known about them, and a rank for each. */
export interface Plan {
  readonly partition: VocabPartition;
  /** Whether rows leave word order, so that the layer needs an index. */
  readonly permuted: boolean;
  readonly blocks: readonly AnalysedBlock[];
  readonly ranks: readonly (number | null)[];
  readonly whitening?: Whitening | undefined;
  /** Words that the refinement moved to another block. */
  readonly moved: number;
}

/**
 * Chooses blocks and ranks: of the partitions within the target the one that leaves the least weighted
 * error, then its refinement if that is better.
 *
 * @throws EspalierError `block-low-rank/rank`.
 */
export async function planBlocks(request: PlanRequest): Promise<Plan> {
  const whitening = await computeWhitening(request.importance, request.matrix.columns);
  const plans: Plan[] = [];
  for (const partition of fitting(request)) {
    plans.push(await planFor(partition, request, whitening));
  }
  const best = plans.reduce((a, b) => (cost(b, request) < cost(a, request) ? b : a));
  return (await refinePlan(best, request)) ?? best;
}

/** What is to be small: the error within a budget, the bytes within an error. */
function cost({ blocks, ranks, permuted }: Plan, { target, matrix }: PlanRequest): number {
  return 'error' in target
    ? countBytes(blocks, ranks) + indexBytes(permuted, matrix)
    : computeError(blocks, ranks);
}

/** A partitioner's candidates; a single block is in word order and needs no index. */
export function listPartitions(
  { rows }: Matrix,
  counts: Float64Array | undefined,
  partitioner: VocabPartitioner | undefined,
): readonly VocabPartition[] {
  const whole = { order: Int32Array.from({ length: rows }, (_, i) => i), sizes: [rows] };
  if (!counts || !partitioner) return [whole];
  return partitioner.candidates(counts).map((each) => (each.sizes.length > 1 ? each : whole));
}

/** Bytes of the smallest partition with rank 1 everywhere. */
export function leastBytes({ matrix, partitions }: PlanRequest): number {
  return Math.min(...partitions.map((partition) => computeLeastBytes(partition, matrix)));
}

function computeLeastBytes({ order, sizes }: VocabPartition, matrix: Matrix): number {
  const { columns } = matrix;
  const least = (rows: number) => Math.min(countNumbers(rows, columns, 1), rows * columns);
  const numbers = sizes.reduce((sum, rows) => sum + least(rows), 0);
  return 4 * numbers + indexBytes(permutes(order), matrix);
}

function fitting({ matrix, partitions, target }: PlanRequest): readonly VocabPartition[] {
  if (!('bytes' in target)) return partitions;
  return partitions.filter((partition) => computeLeastBytes(partition, matrix) <= target.bytes);
}

async function planFor(
  partition: VocabPartition,
  request: PlanRequest,
  whitening: Whitening | undefined,
): Promise<Plan> {
  const { matrix, importance, counts } = request;
  const blocks = await analyse(matrix, partition, importance, { counts, whitening });
  const permuted = permutes(partition.order);
  const ranks = ranksFor(blocks, request, indexBytes(permuted, matrix));
  return { partition, permuted, blocks, ranks, whitening, moved: 0 };
}

function ranksFor(blocks: readonly AnalysedBlock[], request: PlanRequest, index: number) {
  const { target } = request;
  if ('ranks' in target) return explicitRanks(blocks, target.ranks);
  if ('error' in target) return withinError(blocks, request, target.error);
  return request.allocator.allocate(blocks, target.bytes - index);
}

/** Bytes with rank 1 everywhere. */
function smallest(blocks: readonly AnalysedBlock[]): number {
  return countBytes(
    blocks,
    blocks.map((block) => feasibleRank(block, 1)),
  );
}

/** The smallest budget that keeps the error, to one part in a thousand of the dense size. */
function withinError(blocks: readonly AnalysedBlock[], { allocator }: PlanRequest, error: number) {
  const least = smallest(blocks);
  const limit =
    error ** 2 *
    computeError(
      blocks,
      blocks.map(() => 0),
    );
  const dense = countBytes(
    blocks,
    blocks.map(() => null),
  );
  const fits = (ranks: readonly (number | null)[]) => computeError(blocks, ranks) <= limit;
  let [low, high] = [least, dense];
  let best: readonly (number | null)[] = blocks.map(() => null);
  while (high - low > dense / 1000) {
    const middle = (low + high) / 2;
    const ranks = allocator.allocate(blocks, middle);
    if (fits(ranks)) [best, high] = [ranks, middle];
    else low = middle;
  }
  const fewest = allocator.allocate(blocks, least);
  return fits(fewest) ? fewest : best;
}

function explicitRanks(blocks: readonly AnalysedBlock[], ranks: number | readonly number[]) {
  const list = typeof ranks === 'number' ? blocks.map(() => ranks) : ranks;
  if (list.length !== blocks.length) {
    throw new EspalierError('block-low-rank/rank', {
      problem: `there are ${blocks.length} blocks and ${list.length} ranks`,
      received: list,
      fix: 'Give one rank for each block, or one for all.',
    });
  }
  return blocks.map((block, p) => {
    const most = Math.min(block.rows, block.columns);
    if (list[p]! <= most) return feasibleRank(block, list[p]!);
    throw new EspalierError('block-low-rank/rank', {
      problem: `block ${p + 1} of ${blocks.length} has ${block.rows} words of ${block.columns} numbers, so its rank can be ${most} at most`,
      received: list[p],
      fix: 'Give a smaller rank, or fewer and larger blocks.',
    });
  });
}

/**
 * The partitioner's better partition of a plan, if it is one. Words that moved need an index, so the
 * plan is made again without the bytes of one first.
 */
async function refinePlan(plan: Plan, request: PlanRequest): Promise<Plan | undefined> {
  const { matrix, importance, counts, partitioner, target } = request;
  if (!partitioner?.refine || !counts || plan.blocks.length < 2) return undefined;
  const { partition, whitening } = plan;
  const index = indexBytes(true, matrix);
  if ('bytes' in target && target.bytes < smallest(plan.blocks) + index) return undefined;
  const ranks = ranksFor(plan.blocks, request, index);
  const measured = whitening ? await whiten(matrix, whitening) : matrix;
  const weights = importance.rows;
  const next = await partitioner.refine({ partition, matrix: measured, weights, ranks });
  const blocks = await analyse(matrix, next, importance, { counts, whitening });
  if (countBytes(blocks, ranks) > countBytes(plan.blocks, ranks)) return undefined;
  const found: Plan = {
    partition: next,
    permuted: permutes(next.order),
    blocks,
    ranks: 'error' in target ? ranksFor(blocks, request, index) : ranks,
    whitening,
    moved: moves(partition, next),
  };
  return cost(found, request) < cost(plan, request) ? found : undefined;
}

/** Rows whose plain distances are those of the matrix's rows in the metric. */
function whiten(matrix: Matrix, { root }: Whitening): Promise<Matrix> {
  const { columns } = matrix;
  return project(matrix, { data: Float32Array.from(root), rows: columns, columns });
}

function moves(before: VocabPartition, after: VocabPartition): number {
  const [from, to] = [blockOfWord(before), blockOfWord(after)];
  return from.reduce((count, block, word) => count + (block === to[word] ? 0 : 1), 0);
}

function blockOfWord({ order, sizes }: VocabPartition): Int32Array {
  const blocks = new Int32Array(order.length);
  let begin = 0;
  sizes.forEach((size, p) => {
    for (const word of order.subarray(begin, (begin += size))) blocks[word] = p;
  });
  return blocks;
}

function permutes(order: Int32Array): boolean {
  return order.some((row, i) => row !== i);
}

/** Bytes of the index that permuted rows need. */
export function indexBytes(permuted: boolean, { rows }: Matrix): number {
  return permuted ? 4 * rows : 0;
}
