import { attribute, readLater } from '@espalier/base';
import type { NamedTensors, Reading } from '@espalier/base';
import type { RawBatch } from '@espalier/data';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Batch } from '../batch/batch.js';
import { checkTargetShapes } from '../batch/check-target-shapes.js';
import { withWeightSum } from '../batch/to-batch.js';
import { readIds } from '../batch/word-ids.js';
import type { TapOutput } from '../hooks/taps.js';
import type { Run } from '../run.js';
import { divideByWindow } from './window-divisors.js';

/** Batches as `batch` taps returned them in the step under way, in order. */
export type TapBatches = TapOutput<'batch'>[];

/**
 * The micro-batches of a step: each raw batch checked and named, changed by the `batch` taps, and checked
 * again. `passed` collects what the taps returned, for whoever frees it.
 */
export async function takeMicroBatches(
  run: Run,
  raw: readonly RawBatch[],
  passed: TapBatches,
): Promise<readonly Batch[]> {
  const microBatches: Batch[] = [];
  for (const [i, one] of raw.entries()) {
    const batch = await run.batches.read(one, i);
    microBatches.push(await passThroughTaps(run, batch, passed));
  }
  return divideByWindow(run, microBatches);
}

async function passThroughTaps(run: Run, batch: Batch, passed: TapBatches): Promise<Batch> {
  const { batches, settings, structure, taps } = run;
  const { network } = structure;
  const changed = await taps.fire('batch', batch, (value, plugin) => {
    passed.push({ plugin, value });
    checkTargetShapes(settings.losses, value.targets, network.outputShapes);
  });
  await blameTap(run, changed, passed, ({ inputs, weights }) =>
    readIds(network.idInputs, inputs, weights),
  );
  return blameTap(run, changed, passed, (each) => withWeightSum(batch, each, batches.spec));
}

/** Checks a batch; where the check fails, the error names the first plugin whose batch fails it too. */
async function blameTap<T>(
  { clock }: Run,
  batch: Batch,
  passed: TapBatches,
  check: (batch: Batch) => Reading<T>,
): Promise<T> {
  try {
    return await readLater(check(batch));
  } catch (error) {
    for (const { plugin, value } of passed) {
      await readLater(check(value)).catch((fault: unknown) => {
        throw attribute(fault, { plugin, hook: 'batch', step: clock.step });
      });
    }
    throw error;
  }
}

/** Disposes what `batch` taps made; the tensors of the raw batches stay the caller's. */
export function disposeReplaced(raw: readonly RawBatch[], passed: TapBatches): void {
  const callers = new Set(raw.flatMap(({ x, y, weights }) => [x, y, weights].flatMap(listTensors)));
  const made = passed.flatMap(({ value: { inputs, targets, weights } }) =>
    [inputs, targets, weights].flatMap(listTensors),
  );
  tf.dispose(made.filter((tensor) => !callers.has(tensor)));
}

function listTensors(given: Tensor | NamedTensors | undefined): Tensor[] {
  if (!given) return [];
  return given instanceof tf.Tensor ? [given] : Object.values(given);
}
