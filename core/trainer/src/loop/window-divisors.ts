import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import type { Batch } from '../batch/batch.js';
import { withoutMaskedFaults } from '../batch/masked.js';
import { computeCounts } from '../batch/step-weights.js';
import type { Run } from '../run.js';

/**
 * The micro-batches of a window, each with what its losses are divided by where masks reach them: by then
 * the shares of the micro-batches, which go by all their examples and steps, add up to the mean over
 * what is real in the window. That costs a forward pass, as masks are known behind one only.
 */
export async function divideByWindow(run: Run, window: readonly Batch[]): Promise<Batch[]> {
  if (window.length < 2 || run.settings.semantics === 'tfjs' || !run.structure.network.makesMasks)
    return [...window];
  const counts: Readonly<Record<string, number>>[] = [];
  for (const batch of window) counts.push(await countReal(run, batch));
  const weight = window.reduce((sum, batch) => sum + batch.weightSum, 0) || 1;
  const totals = Object.keys(counts[0]!).map((name) => {
    const total = counts.reduce((sum, count) => sum + count[name]!, 0);
    return [name, total] as const;
  });
  return window.map((batch) => {
    const divisors = totals.map(([name, total]) => [name, (total * batch.weightSum) / weight]);
    return { ...batch, divisors: Object.fromEntries(divisors) as Record<string, number> };
  });
}

/** By output that a mask reaches: the weight of what is real in a batch. */
async function countReal({ structure }: Run, given: Batch): Promise<Record<string, number>> {
  const present = tf.tidy((): Record<string, Tensor1D> => {
    const batch = withoutMaskedFaults(given, structure.network.idInputs);
    const { masks } = structure.network.execute(batch.inputs, { training: false, masks: true });
    return computeCounts(batch, batch.targets, masks).present;
  });
  const names = Object.keys(present);
  try {
    const sums = names.map(async (name) => {
      const weights = await present[name]!.data<'float32'>();
      return [name, weights.reduce((a, b) => a + b, 0)] as const;
    });
    return Object.fromEntries(await Promise.all(sums));
  } finally {
    tf.dispose(present);
  }
}
