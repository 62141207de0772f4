import { parseOptions } from '@espalier/base';
import { z } from 'zod';
import type { OutputKind } from './loss.js';

/** Options of {@link crossEntropy} and {@link binaryCrossEntropy}. */
export interface CrossEntropyOptions {
  /**
   * What the model's output is; default: what its last layer says, `logits` where that is a class of
   * one's own. One that contradicts the model is refused.
   */
  readonly from?: OutputKind;
}

const crossEntropyOptions = z.strictObject({
  from: z.enum(['logits', 'probabilities']).optional(),
});

/** @throws EspalierError `options/invalid`. */
export function parseFrom(name: string, options: CrossEntropyOptions): OutputKind | undefined {
  return parseOptions(name, crossEntropyOptions, options).from;
}

/** @throws EspalierError `options/invalid`. */
export function refuseOptions(name: string, options: unknown): void {
  parseOptions(name, z.strictObject({}), options);
}
