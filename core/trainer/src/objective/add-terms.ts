import { refuseForeignTensor } from '@espalier/base';
import type { Loss } from '@espalier/losses';
import type { Network } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from '../batch/batch.js';
import { checkWeighsSteps, meanOverPresent } from '../batch/step-weights.js';
import type { ExampleCounts } from '../batch/step-weights.js';
import type { Semantics } from '../settings.js';
import type { TermTable } from './loss-terms.js';
import { computeLoss } from './task-loss.js';

/** Reduces per-example values `[batch]` to the scalar that a term is. */
export type Reduce = (values: Tensor1D, weights?: Tensor1D, divisor?: number) => Scalar;

/**
 * The example-weighted mean of a batch. `valid` is 0 for examples whose targets are wrong: their values
 * become NaN, and the step ends before anything is applied.
 */
export function makeReduce(batch: Batch, valid: Tensor1D | undefined): Reduce {
  return (values, weights, divisor) => {
    refuseForeignTensor('what mean was given', values);
    const checked = valid ? replaceByNaN(values, valid) : values;
    return meanOverPresent(checked, batch, weights, divisor);
  };
}

function replaceByNaN(values: Tensor1D, valid: Tensor1D): Tensor1D {
  return tf.where(valid, values, tf.tensor1d(new Float32Array(values.size).fill(NaN)));
}

/** What the terms of the task are computed from. */
interface Forward extends ExampleCounts {
  readonly outputs: NamedTensors;
  readonly targets: NamedTensors;
}

/** Adds the task's own term, `task/<loss>`; of several outputs `task/<output>/<loss>`. */
export function addTaskTerms(
  table: TermTable,
  losses: Readonly<Record<string, Loss>>,
  { batch, outputs, targets, steps, present }: Forward,
  reduce: Reduce,
): void {
  const names = Object.keys(losses);
  for (const name of names) {
    const loss = losses[name]!;
    checkWeighsSteps(name, loss, steps[name]);
    const values = computeLoss(loss, {
      ...{ output: name, size: batch.size, steps: steps[name] },
      ...{ prediction: outputs[name]!, target: targets[name]! },
    });
    const value = reduce(values, present[name], batch.divisors?.[name]);
    table.add('task', names.length === 1 ? loss.name : `${name}/${loss.name}`, value);
  }
}

/** Adds the terms of the layers' regularizers; each counts once, in tfjs once for each call. */
export function addPenalties(
  table: TermTable,
  networks: readonly Network[],
  { substitute, semantics }: Substituted,
): void {
  for (const network of networks) {
    if (network.regularizers.length === 0) continue;
    network.withValues(substitute, () =>
      network.regularizers.forEach(({ path, timesInTfjs, penalty }) => {
        const weight = semantics === 'tfjs' ? timesInTfjs : 1;
        if (weight > 0) table.add('regularization', path, penalty(), { weight });
      }),
    );
  }
}

interface Substituted {
  /** Values that replace the current parameters, by path. */
  readonly substitute: ReadonlyMap<string, Tensor>;
  readonly semantics: Semantics;
}
