import { EspalierError } from '@espalier/core';
import { z } from 'zod';

/** A number, or one that goes linearly from one value to another over some epochs. */
const scheduled = (constant: z.ZodNumber) =>
  z.union([
    constant,
    z.strictObject({
      kind: z.literal('linear'),
      from: constant,
      to: constant,
      epochs: z.int().positive(),
    }),
  ]);
const weight = scheduled(z.number().nonnegative());

/** A share from 0 to 1, likewise. */
export const scheduledShare = scheduled(z.number().min(0).max(1));

/** One weight for every exit, or one each, shallowest first. */
export const exitWeights = z.union([weight, z.array(weight).min(1)]);

/** A loss weight: constant, or linear from `from` at epoch 0 to `to` at epoch `epochs` and after. */
export type ExitWeight = z.output<typeof weight>;

/** The weight that holds during an epoch, counted from 0. */
export function weightAt(schedule: ExitWeight, epoch: number): number {
  if (typeof schedule === 'number') return schedule;
  const { from, to, epochs } = schedule;
  return from + (to - from) * Math.min(epoch / epochs, 1);
}

/**
 * One weight per exit.
 *
 * @throws EspalierError `multi-exit/weights` if a list has another length.
 */
export function weightPerExit(
  weights: z.output<typeof exitWeights>,
  exits: readonly string[],
): readonly ExitWeight[] {
  if (!Array.isArray(weights)) return exits.map(() => weights);
  if (weights.length === exits.length) return weights;
  throw new EspalierError('multi-exit/weights', {
    problem: `there are ${exits.length} auxiliary exits (at ${exits.join(', ')}), but ${weights.length} weights`,
    received: weights,
    fix: 'Give one weight per auxiliary exit, or a single one for all. The last exit is the task itself.',
  });
}
