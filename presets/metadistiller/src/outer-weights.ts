import { definePlugin, EspalierError, suggest } from '@espalier/core';
import { z } from 'zod';

const weight = z.number().nonnegative();
const isSome = (weights: object) => Object.values(weights).some((each) => each > 0);
const NONE = 'at least one weight must be above 0';

/** Weights of exits in the outer loss: one for each, shallowest first, or by the names of exits. */
export const weightsOption = z.union([
  z.array(weight).min(2).refine(isSome, NONE),
  z.record(z.string().min(1), weight).refine(isSome, NONE),
]);

/** Weights of exits in the outer loss. */
export type OuterWeights = z.output<typeof weightsOption>;

/**
 * Refuses weights of an outer loss for exits that the network does not have; it does nothing else. The
 * preset adds it where it is given weights.
 *
 * @throws EspalierError at setup: `outer-weights/exits`.
 */
export const outerWeights = definePlugin({
  id: 'outer-weights',
  version: '0.1.0',
  exportedAs: '@espalier/preset-metadistiller#outerWeights',
  options: z.strictObject({ weights: weightsOption, output: z.string().optional() }),
  // The exits must be there already.
  order: { after: ['multi-exit'] },
  stateless: true,
  apply(ctx, { weights, output }) {
    const { outputNames, ownOutputs } = ctx.model;
    const auxiliary = outputNames.filter((name) => !ownOutputs.includes(name));
    checkWeights(weights, [...auxiliary, output ?? ownOutputs[0]!]);
  },
});

/** The terms of the outer loss, each with its weight: the labels' terms of exits. */
export function listOuterTerms(weights: OuterWeights): Readonly<Record<string, number>> {
  const named = Array.isArray(weights) ? nameInOrder(weights) : Object.entries(weights);
  const counting = named.filter(([, each]) => each > 0);
  return Object.fromEntries(counting.map(([exit, each]) => [findTerm(exit), each]));
}

function nameInOrder(weights: readonly number[]): (readonly [string, number])[] {
  const last = weights.length - 1;
  return weights.map((each, i) => [i === last ? 'last' : `exit_${i + 1}`, each]);
}

const findTerm = (exit: string) => (/^exit_\d+$/.test(exit) ? `multi-exit/${exit}` : 'task/*');

function checkWeights(weights: OuterWeights, exits: readonly string[]): void {
  if (Array.isArray(weights)) {
    if (weights.length === exits.length) return;
    throw new EspalierError('outer-weights/exits', {
      problem: `the network has ${exits.length} exits (${exits.join(', ')}), and there are ${weights.length} outer weights`,
      received: weights,
      fix: 'Give one weight for each exit, the last included, or weights by the names of exits.',
    });
  }
  const unknown = Object.keys(weights).find((name) => !exits.includes(name));
  if (unknown === undefined) return;
  throw new EspalierError('outer-weights/exits', {
    problem: `there is an outer weight for '${unknown}', and the network has no such exit`,
    received: weights,
    fix: suggest(unknown, exits),
  });
}
