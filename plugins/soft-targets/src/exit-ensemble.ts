import { definePlugin, EspalierError, EXITS, SOFT_TARGETS, stopGradient } from '@espalier/core';
import type { SoftTargets } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { z } from 'zod';

/**
 * Exits together teach each of them (exit-ensemble distillation, Lee & Lee 2021): provides
 * `SOFT_TARGETS` with logits `[batch, classes]` of the mean distribution, detached. With `members: 'all'`
 * every exit teaches every exit, the last included; with `'deeper'` each learns from those behind it.
 *
 * The geometric mean is that of the distributions at the consumer's temperature; the arithmetic mean
 * is taken at temperature 1 and softened afterwards.
 *
 * @throws EspalierError in the first step: `services/missing`.
 * @example
 * const plugins = [multiExit(), exitEnsemble({ members: 'deeper' }), exitDistillation()];
 */
export const exitEnsemble = definePlugin({
  id: 'exit-ensemble',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-soft-targets#exitEnsemble',
  options: z.strictObject({
    members: z.enum(['all', 'deeper']).default('all'),
    mean: z.enum(['geometric', 'arithmetic']).default('geometric'),
  }),
  stateless: true,
  apply(ctx, { members, mean }) {
    ctx.provide(SOFT_TARGETS, (): SoftTargets => {
      const { names } = ctx.get(EXITS);
      return {
        name: 'exit-ensemble',
        logits({ outputs }) {
          const of = (exits: readonly string[]) => {
            const logits = exits.map((exit) => outputs[exit] as Tensor2D);
            return stopGradient(averageLogits(logits, mean)) as Tensor2D;
          };
          if (members === 'deeper') {
            return Object.fromEntries(
              names.slice(0, -1).map((name, i) => [name, of(names.slice(i + 1))]),
            );
          }
          const ensemble = of(names);
          return Object.fromEntries(names.map((name) => [name, ensemble]));
        },
      };
    });
  },
});

/**
 * Logits of the mean of the distributions that several logits stand for: the teacher of exit-ensemble
 * distillation (Lee & Lee 2021).
 *
 * @param logits Of each member, `[batch, classes]`.
 * @param mean `geometric`: softmax(result/τ) is the normalized geometric mean of the members' at every τ;
 * `arithmetic`: softmax(result) is the mean probability.
 * @returns `[batch, classes]`, not detached.
 * @throws EspalierError `exit-ensemble/members`: none, or of different shapes.
 * @example
 * const teacher = stopGradient(averageLogits([first, second, last]));
 */
export function averageLogits(
  logits: readonly Tensor2D[],
  mean: 'geometric' | 'arithmetic' = 'geometric',
): Tensor2D {
  const shapes = logits.map(({ shape }) => String(shape));
  if (logits.length === 0 || new Set(shapes).size > 1) {
    throw new EspalierError('exit-ensemble/members', {
      problem: 'averageLogits() needs logits of one shape, of one member or more',
      received: logits.map(({ shape }) => shape),
      fix: 'Give the logits [batch, classes] of each member for the same batch.',
    });
  }
  return MEANS[mean](logits) as Tensor2D;
}

const MEANS = {
  geometric: (logits: readonly Tensor[]) => tf.mean(tf.stack([...logits]), 0),
  arithmetic: (logits: readonly Tensor[]) =>
    tf.logSumExp(tf.stack(logits.map((each) => tf.logSoftmax(each))), 0),
} as const;
