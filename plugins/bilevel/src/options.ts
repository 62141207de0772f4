import { z } from 'zod';
import { estimatorOption } from './estimators/estimator-option.js';

const patterns = z.array(z.string().min(1)).min(1);

export const bilevelOptions = z.strictObject({
  /** Paths of the outer variables; `*` at the end stands for anything. */
  variables: patterns,
  /** Terms that make the outer loss, likewise. */
  loss: patterns.default(['task/*']),
  estimator: estimatorOption.default('jvp'),
  /** η of the virtual inner step. */
  innerLearningRate: z.number().positive().default(0.1),
  /** β of the outer step. */
  learningRate: z.number().positive().default(1e-3),
  /** An outer step every so many optimizer steps. */
  interval: z.int().positive().default(1),
  /** Optimizer steps before the first outer step. */
  warmup: z.int().nonnegative().default(0),
  /** Largest global norm of a hypergradient; larger ones are scaled down. */
  clip: z.number().positive().optional(),
  /** Hypergradients in a row, zero or not finite, at which the run ends. */
  patience: z.int().positive().default(10),
});
