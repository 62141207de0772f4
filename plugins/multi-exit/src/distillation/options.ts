import { z } from 'zod';
import { scheduledShare } from '../exits/exit-weights.js';

const weight = z.number().nonnegative();

/** The options of `exitDistillation`, as data. */
export const exitDistillationOptions = z.strictObject({
  /** Share α of the soft loss, or `{ kind: 'linear', from, to, epochs }`. */
  alpha: scheduledShare.default(0.1),
  /** Temperature τ. */
  temperature: z.number().positive().default(3),
  /** `'kl'`, or that of decoupled knowledge distillation with its two weights. */
  divergence: z
    .union([
      z.literal('kl'),
      z.strictObject({
        kind: z.literal('decoupled'),
        target: weight.default(1),
        nonTarget: weight.default(8),
      }),
    ])
    .default('kl'),
  /** `true`: the labels keep their whole weight instead of 1 − α. */
  keepLabels: z.boolean().default(false),
  /** `true`: the labels of the last exit get 1 − α too, whether or not anybody teaches it. */
  scaleLast: z.boolean().default(false),
  /** Weight β of the hint. */
  hint: weight.default(0),
});

/** Options of `exitDistillation`. */
export type ExitDistillationOptions = z.input<typeof exitDistillationOptions>;
export type Divergence = z.output<typeof exitDistillationOptions>['divergence'];
