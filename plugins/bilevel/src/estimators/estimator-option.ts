import { z } from 'zod';
import type { Estimator } from '../problem.js';
import { conjugateGradient, conjugateGradientOptions } from './conjugate-gradient.js';
import { finiteDifference } from './finite-difference.js';
import { firstOrder } from './first-order.js';
import { jvp } from './jvp.js';
import { neumann, neumannOptions } from './neumann.js';
import { unroll } from './unroll.js';

/** The estimators that differentiate inner steps, by name. */
export const ESTIMATORS = {
  'first-order': firstOrder,
  'finite-difference': finiteDifference,
  jvp,
  unroll,
} as const satisfies Readonly<Record<string, Estimator>>;

/** An estimator by its name, or one for a converged inner problem with options of its own. */
export const estimatorOption = z.union([
  z.enum([
    ...(Object.keys(ESTIMATORS) as (keyof typeof ESTIMATORS)[]),
    'neumann',
    'conjugate-gradient',
  ]),
  z.discriminatedUnion('kind', [
    neumannOptions.extend({ kind: z.literal('neumann') }),
    conjugateGradientOptions.extend({ kind: z.literal('conjugate-gradient') }),
  ]),
]);

export type EstimatorOption = z.output<typeof estimatorOption>;

/** The estimator that an option names. */
export function findEstimator(option: EstimatorOption): Estimator {
  if (option === 'neumann') return neumann();
  if (option === 'conjugate-gradient') return conjugateGradient();
  if (typeof option === 'string') return ESTIMATORS[option];
  if (option.kind === 'neumann') {
    const { terms, rate, damping, products } = option;
    return neumann({ terms, rate, damping, products });
  }
  const { iterations, tolerance, damping, products } = option;
  return conjugateGradient({ iterations, tolerance, damping, products });
}
