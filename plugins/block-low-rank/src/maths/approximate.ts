import { describeRules } from '@espalier/compression';
import type { CompressionEntry } from '@espalier/compression';
import type { LayerTarget } from '../layer-targets.js';
import { factorize } from './factorize.js';
import type { Factorization } from './factorize.js';
import { indexBytes } from './plan.js';
import type { Plan, PlanRequest } from './plan.js';
import { countBytes } from './rank-rules.js';
import { squaredErrors } from './reconstruct.js';

/** What comes into one layer's place. */
export interface Approximation {
  readonly place: LayerTarget;
  readonly factorised: Factorization;
  /** Position of each word among the rows, where they leave word order. */
  readonly index?: Int32Array;
  readonly entry: CompressionEntry;
}

/** Factors of a plan, with what they cost and lose. */
export async function approximate(
  { place, matrix, importance }: PlanRequest,
  plan: Plan,
): Promise<Approximation> {
  const { partition, permuted, blocks, ranks, whitening } = plan;
  const factorised = await factorize(matrix, blocks, ranks, whitening);
  const squared = squaredErrors(matrix, partition, factorised, importance);
  const entry: CompressionEntry = {
    layer: place.entry.name,
    summary: [describe(plan), ...describeRules(place.entry, true)].join('; '),
    bytesBefore: 4 * matrix.rows * matrix.columns,
    bytesAfter: countBytes(blocks, ranks) + indexBytes(permuted, matrix),
    relativeError: ratio(squared.error, squared.norm),
    weightedError: ratio(squared.weightedError, squared.weightedNorm),
  };
  return { place, factorised, entry, ...(permuted && { index: inverse(partition.order) }) };
}

function describe({ blocks, ranks, moved }: Plan): string {
  const list = blocks.map(({ rows }, p) => `${rows}×${ranks[p] ?? 'dense'}`);
  const text = `${blocks.length === 1 ? '1 block' : `${blocks.length} blocks`}, words×rank ${list.join(' ')}`;
  return moved > 0 ? `${text}, ${moved} words moved` : text;
}

function inverse(order: Int32Array): Int32Array {
  const positions = new Int32Array(order.length);
  order.forEach((word, position) => (positions[word] = position));
  return positions;
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.sqrt(part / whole);
}
