import { z } from 'zod';
import { exitWeights } from './exits/exit-weights.js';

const fraction = z.number().gt(0, 'must lie between 0 and 1').lt(1, 'must lie between 0 and 1');

/** Where exits go. */
const at = z.union([
  z.array(z.string()).min(1),
  z.string().min(1),
  z.strictObject({ regexp: z.string().min(1) }),
  z.strictObject({ fractions: z.array(fraction).min(1) }),
]);

/** The options of `multiExit`, as data. */
export const multiExitOptions = z.strictObject({
  at: at.default({ fractions: [0.25, 0.5, 0.75] }),
  branch: z.enum(['linear', 'bottleneck', 'separable']).default('linear'),
  weights: exitWeights.default(1),
  detach: z.boolean().default(false),
  output: z.string().optional(),
});

/** Options of `multiExit`. */
export type MultiExitOptions = z.input<typeof multiExitOptions>;
export type At = z.output<typeof at>;
export type BranchKind = z.output<typeof multiExitOptions>['branch'];
