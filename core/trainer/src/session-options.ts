import type { RawBatch } from '@espalier/data';
import { z } from 'zod';
import type { FitEnd } from './hooks/hooks.js';

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

/** How to take a step. */
export interface SessionStepOptions {
  /** The first batch of the step after this one, for plugins that look ahead (bilevel). */
  readonly next?: RawBatch | undefined;
  /** Whether the step counts in the epoch, and checkpoints are written as in a fit; default no. */
  readonly inEpoch?: boolean;
}

/** How to begin an epoch. */
export interface BeginEpochOptions {
  /** Continues a run that a plugin stopped: `stopReason` is empty again. */
  readonly goOn?: boolean;
}

/** How a loop of one's own ended. */
export interface LoopEndOptions {
  /** Default: `stopped` where a plugin stopped the run, else `completed`. */
  readonly status?: FitEnd['status'];
  /** Default: why the plugin stopped it. */
  readonly reason?: string;
}

const isBatch = (value: unknown) => typeof value === 'object' && value !== null && 'x' in value;
const isNumber = (value: unknown) => typeof value === 'number';

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
export const stepShape = z.strictObject({
  next: z.custom<RawBatch>(isBatch, 'must be a batch: { x, y }').optional(),
  inEpoch: z.boolean().optional(),
});
export const beginEpochShape = z.strictObject({ goOn: z.boolean().optional() });
export const metricsShape = z.record(z.string(), z.custom<number>(isNumber, 'must be a number'));
export const loopEndShape = z.strictObject({
  status: z.enum(['completed', 'stopped', 'aborted', 'failed']).optional(),
  reason: z.string().optional(),
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
