import { parseBytes } from '@espalier/compression';
import type { Matrix } from '@espalier/compression';
import { EspalierError } from '@espalier/core';
import type { LayerTarget } from './layer-targets.js';
import { leastBytes } from './maths/plan.js';
import type { PlanRequest, ErrorOrSize } from './maths/plan.js';
import type { ParsedTarget } from './options.js';

/** The approximation of a layer's matrix. */
export interface LayerRequest extends PlanRequest {
  readonly place: LayerTarget;
}

/** What is asked of one matrix; of a budget its share is by its size among `total` numbers. */
export function computeTarget(options: ParsedTarget, matrix: Matrix, total: number): ErrorOrSize {
  const { ratio = 4, maxError, rank } = options;
  if (rank !== undefined) return { ranks: rank };
  if (maxError !== undefined) return { error: maxError };
  const budget = parseBudget(options);
  if (budget === undefined) return { bytes: (4 * countEntries(matrix)) / ratio };
  return { bytes: (budget * countEntries(matrix)) / total };
}

/**
 * Refuses a target that a matrix alone cannot keep.
 *
 * @throws EspalierError `block-low-rank/budget`.
 */
export function checkBytes(request: PlanRequest): void {
  const { target, matrix } = request;
  const least = leastBytes(request);
  if (!('bytes' in target) || target.bytes >= least) return;
  const most = Math.floor((400 * countEntries(matrix)) / least) / 100;
  throw new EspalierError('block-low-rank/budget', {
    problem: `the matrix takes ${least} bytes at least (rank 1 everywhere), so the largest possible ratio is ${most}`,
    received: `${Math.floor(target.bytes)} bytes`,
    fix: 'Allow more bytes or a lower ratio, or fewer blocks.',
    details: { leastBytes: least, largestRatio: most },
  });
}

/**
 * Refuses a budget or a ratio that some matrix cannot keep, before anything is computed.
 *
 * @throws EspalierError `block-low-rank/budget`, with `details`: `{ layer, leastBytes }` and `smallestBudget` or
 * `largestRatio`.
 */
export function checkBudget(requests: readonly LayerRequest[], options: ParsedTarget): void {
  const found = requests.map((request) => ({ request, least: leastBytes(request) }));
  const wrong = found.find(({ request: { target }, least }) => {
    return 'bytes' in target && target.bytes < least;
  });
  if (!wrong) return;
  const { place, matrix } = wrong.request;
  const layer = place.entry.name;
  const least = `layer '${layer}' takes ${wrong.least} bytes at least (rank 1 everywhere)`;
  const budget = parseBudget(options);
  if (budget === undefined) {
    const most = Math.floor((400 * countEntries(matrix)) / wrong.least) / 100;
    throw new EspalierError('block-low-rank/budget', {
      problem: `${least}, so the largest possible ratio is ${most}`,
      received: options.ratio ?? 4,
      fix: 'Allow a lower ratio, or fewer blocks, or leave the layer out.',
      details: { layer, leastBytes: wrong.least, largestRatio: most },
    });
  }
  const total = sumSizes(requests);
  const needed = found.map(({ request, least }) => (least * total) / countEntries(request.matrix));
  const smallestBudget = Math.ceil(Math.max(...needed));
  throw new EspalierError('block-low-rank/budget', {
    problem: `the smallest possible budget is ${smallestBudget} bytes: ${least}, and budgets are divided by size`,
    received: budget,
    fix: 'Allow more bytes, or fewer blocks.',
    details: { layer, leastBytes: wrong.least, smallestBudget },
  });
}

/** Numbers in all matrices. */
export function sumSizes(all: readonly { readonly matrix: Matrix }[]): number {
  return all.reduce((sum, { matrix }) => sum + countEntries(matrix), 0);
}

function parseBudget({ budget }: ParsedTarget): number | undefined {
  return typeof budget === 'string' ? parseBytes(budget) : budget;
}

function countEntries({ rows, columns }: Matrix): number {
  return rows * columns;
}
