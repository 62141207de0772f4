import type { Loss } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';

/** A weight for each class, by its id. */
type WeightsOfClasses = Readonly<Record<string, number>>;

/** The class weights of one output while a fit has them, for models of several outputs. */
export class ClassWeights {
  #weights: readonly number[] | undefined;

  set(weights: WeightsOfClasses | null | undefined): void {
    const last = Math.max(...Object.keys(weights ?? {}).map(Number));
    this.#weights = weights
      ? Array.from({ length: last + 1 }, (_, id) => weights[String(id)] ?? 0)
      : undefined;
  }

  /** The same loss, of which each example counts by the class of its target. */
  weigh(loss: Loss): Loss {
    const { readAs } = loss;
    return {
      ...loss,
      perExample: (output, target, steps) => {
        const values = loss.perExample(output, target, steps);
        return this.#weights ? tf.mul(values, findWeights(target, this.#weights)) : values;
      },
      ...(readAs && { readAs: (kind) => this.weigh(readAs(kind)) }),
    };
  }
}

/** Targets are one-hot, or ids as a session or as tfjs takes them. */
function findWeights(target: Tensor, weights: readonly number[]): Tensor1D {
  const ids =
    target.rank > 1 && target.shape.at(-1)! > 1
      ? tf.argMax(target, -1)
      : tf.cast(tf.reshape(target, [-1]), 'int32');
  return tf.gather(tf.tensor1d([...weights]), ids as Tensor1D);
}

/** What `fit` was given as `classWeight`, one for each output: a list, or by the names of outputs. */
export function listClassWeights(
  given: unknown,
  names: readonly string[],
): readonly (WeightsOfClasses | null | undefined)[] {
  if (Array.isArray(given)) return given as readonly WeightsOfClasses[];
  return names.map((name) => (given as Readonly<Record<string, WeightsOfClasses>> | null)?.[name]);
}
