import { createToken } from '@espalier/core';
import type { Source, GradientTransform } from '@espalier/core';
import type { BilevelProblem, Estimator } from './problem.js';

/** How the hypergradient is estimated; default: what the option `estimator` names. */
export const HYPERGRADIENT = createToken<Estimator>('hypergradient');

/** Data for the outer loss, e.g. a held-out split; default: the next training batch. */
export const OUTER_DATA = createToken<Source>('outer-data');

/**
 * What makes the virtual inner step; default: SGD with `innerLearningRate`. Where the outer variables
 * are in it, as learned rates are: a function of them, by path.
 */
export const INNER_OPTIMIZER = createToken<BilevelProblem['optimizer']>('inner-optimizer');

/** What moves the outer variables; default: Adam with `learningRate`. */
export const OUTER_OPTIMIZER = createToken<GradientTransform>('outer-optimizer');

/** How the outer optimization goes. */
export interface BilevelProgress {
  /** Outer steps done. */
  readonly steps: number;
  /** Outer steps left out because a hypergradient was zero or not finite. */
  readonly skipped: number;
  /** The outer loss at the last outer step, after the virtual inner step; NaN before the first. */
  readonly outer: number;
}

export const BILEVEL = createToken<BilevelProgress>('bilevel');
