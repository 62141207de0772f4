import { z } from 'zod';
import { estimatorOption } from './estimators/estimator-option.js';

const pattern = z.string().min(1);
const patterns = z.array(pattern).min(1);
const weights = z
  .record(pattern, z.number().positive())
  .refine((record) => Object.keys(record).length > 0, 'must name a term');

export const bilevelOptions = z.strictObject({
  /** Paths of the outer variables; `*` stands for anything. */
  variables: patterns,
  /** Terms that make the outer loss, likewise: a list, each at weight 1, or the weight of each. */
  loss: z.union([patterns, weights]).default(['task/*']),
  estimator: estimatorOption.default('jvp'),
  /** What makes the virtual step: plain SGD, or the run's optimizer with its live state. */
  innerOptimizer: z.enum(['sgd', 'run']).default('sgd'),
  /** η of the virtual step where SGD makes it; `'run'`: the run's at that step. */
  innerLearningRate: z.union([z.literal('run'), z.number().positive()]).default('run'),
  /** β of the outer step, of Adam; default 1e-3. Where the variables have an optimizer of their own, it is that one's. */
  learningRate: z.number().positive().optional(),
  /** An outer step every so many optimizer steps. */
  interval: z.int().positive().default(1),
  /** Optimizer steps before the first outer step. */
  warmup: z.int().nonnegative().default(0),
  /**
   * Size of the hypergradient, in place of its own: `share` × `interval` × the running norm of the gradient that the
   * loss of the run gives the variables; 1: as much as the loss pushes them from one outer step to the next.
   */
  share: z.number().positive().optional(),
  /** Largest global norm of a hypergradient; larger ones are scaled down. */
  clip: z.number().positive().optional(),
  /**
   * A control that has to be beaten: each hypergradient times a sign drawn at random, or times −1. Same size, same
   * cost.
   */
  control: z.enum(['random-sign', 'negated']).optional(),
  /** Hypergradients in a row, zero or not finite, at which the run ends. */
  patience: z.int().positive().default(10),
});
