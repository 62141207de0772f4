import { z } from 'zod';

/** How to evaluate. */
export interface EvaluateOptions {
  readonly signal?: AbortSignal;
}

/** How to predict. */
export interface PredictOptions {
  /** Examples at a time; default 128. */
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
}

const signalShape = z
  .custom<AbortSignal>((value) => typeof (value as AbortSignal)?.aborted === 'boolean', {
    message: 'must be the signal of an AbortController',
  })
  .optional();
export const stagesOptionsShape = z.strictObject({
  signal: signalShape,
  goOn: z.boolean().optional(),
});
export const fitShape = stagesOptionsShape
  .extend({
    epochs: z.int().nonnegative().optional(),
    untilEpoch: z.int().nonnegative().optional(),
  })
  .refine(({ epochs, untilEpoch }) => (epochs === undefined) !== (untilEpoch === undefined), {
    message: 'must have one of epochs: n, which trains n more, and untilEpoch: n, a total',
  });
export const evaluateShape = z.strictObject({ signal: signalShape });
export const predictShape = z.strictObject({
  batchSize: z.int().positive().default(128),
  signal: signalShape,
});
export const transformShape = z.strictObject({
  plugins: z.array(z.string()).optional(),
  signal: signalShape,
});
