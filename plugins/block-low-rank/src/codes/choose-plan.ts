import { EspalierError } from '@espalier/core';
import { MOST_BITS } from './codebooks.js';
import { makeCoders } from './coders.js';
import type { Coders, Surveyed } from './coders.js';
import type { Curve } from './curves.js';
import { encodeBlockRows, measureErrors, turnBack } from './encode.js';
import { planCodes, predictError } from './plan.js';
import type { CodesPlan, PlanOptions } from './plan.js';

/** The bytes that a matrix may take, or the root of the objective that it may have. */
export type CodeTarget = { readonly bytes: number } | { readonly error: number };

/** A plan, and what codes rows by it. */
export interface ChosenPlan {
  readonly plan: CodesPlan;
  readonly coders: Coders;
}

/** Attempts to keep an error: what codes lose is a few per cent off what is predicted. */
const ATTEMPTS = 6;

/**
 * The plan that leaves the least error within a budget, or takes the fewest bytes within an error: of those that
 * promise most the one that is best on sampled rows.
 *
 * @param target Bytes: at least `leastBytes`.
 * @throws EspalierError `block-codes/error`.
 */
export async function choosePlan(
  curves: readonly Curve[],
  target: CodeTarget,
  surveyed: Surveyed,
  options: PlanOptions,
): Promise<ChosenPlan> {
  if ('bytes' in target) return tryPlans(curves, target.bytes, surveyed, options);
  let goal = target.error;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const found = await tryPlans(curves, findBytes(curves, goal, options), surveyed, options);
    const error = Math.sqrt(found.error);
    if (error <= target.error) return found;
    goal *= (0.998 * target.error) / error;
  }
  throw new EspalierError('block-codes/error', {
    problem: `codes of at most ${MOST_BITS} bits a number do not come as close as that`,
    received: target.error,
    fix: 'Allow a larger error, or keep the matrix in float32.',
  });
}

async function tryPlans(
  curves: readonly Curve[],
  bytes: number,
  surveyed: Surveyed,
  options: PlanOptions,
): Promise<ChosenPlan & { readonly error: number }> {
  let best: (ChosenPlan & { readonly error: number }) | undefined;
  for (const plan of planCodes(curves, bytes, options)) {
    const coders = await makeCoders(plan, surveyed);
    const error = await measureOnSample(plan, coders, surveyed);
    if (!best || error < best.error) best = { plan, coders, error };
  }
  return best!;
}

/** The fewest bytes that keep an error by prediction. */
function findBytes(curves: readonly Curve[], error: number, options: PlanOptions): number {
  let [low, high] = [0, 4 * options.squares.length * curves[0]!.bases[0]!.energies[0]!.length];
  for (let halving = 0; halving < 12; halving++) {
    const middle = (low + high) / 2;
    const best = predictError(curves, middle, options);
    if (best && best.error <= error ** 2) high = middle;
    else low = middle;
  }
  return high;
}

/** Weighted squared error of the sampled rows, each for those that it stands for. */
async function measureOnSample(
  { curve }: CodesPlan,
  { blocks }: Coders,
  surveyed: Surveyed,
): Promise<number> {
  const { sample, squares } = surveyed;
  const { columns, ids, copies } = sample;
  const own = Float64Array.from(ids, (id) => squares[id]!);
  let sum = 0;
  for (const [p, coder] of blocks.entries()) {
    const select = Int32Array.from(ids.keys()).filter((i) => curve.cells.of[ids[i]!] === p);
    const values = await encodeBlockRows(sample, select, own, coder);
    const decoded = await turnBack(values, select.length, coder, columns);
    const { weighted } = await measureErrors(
      sample,
      select,
      decoded,
      surveyed,
      (i) => ids[i]!,
      copies,
    );
    sum += weighted;
  }
  return sum;
}
