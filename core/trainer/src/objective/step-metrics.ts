import { EspalierError, refuseForeignTensor } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor1D } from '@tensorflow/tfjs-core';

/** The metrics that `loss` taps report in a step's own evaluation. They are no part of the loss. */
export class StepMetrics {
  readonly #values = new Map<string, Scalar>();

  /** The values so far, by name. */
  get values(): Readonly<Record<string, Scalar>> {
    return Object.fromEntries(this.#values);
  }

  /**
   * Adds a metric: a scalar, or values per example `[size]` that `mean` reduces.
   *
   * @throws EspalierError `loss/metric`.
   */
  add(
    name: string,
    value: Scalar | Tensor1D,
    { size, mean }: { readonly size: number; mean(values: Tensor1D): Scalar },
  ): void {
    refuseForeignTensor(`the metric '${name}'`, value);
    if (this.#values.has(name) || isTaken(name)) throw nameError(name);
    const isScalar = value instanceof tf.Tensor && value.rank === 0;
    if (!isScalar && !(value instanceof tf.Tensor && value.rank === 1 && value.size === size)) {
      throw valueError(name, size, value);
    }
    const numbers = tf.cast(value, 'float32');
    this.#values.set(name, isScalar ? (numbers as Scalar) : mean(numbers as Tensor1D));
  }
}

/** Whether an epoch has another number of that name. */
function isTaken(name: string): boolean {
  return name === 'loss' || name.startsWith('loss/') || name.startsWith('val/');
}

function nameError(name: string): EspalierError {
  return new EspalierError('loss/metric', {
    problem: isTaken(name)
      ? `a metric cannot be named '${name}': 'loss', 'loss/…' and 'val/…' are numbers of the loop`
      : `there is already a metric '${name}'`,
    fix: 'Give each metric its own name.',
  });
}

function valueError(name: string, size: number, received: unknown): EspalierError {
  return new EspalierError('loss/metric', {
    problem: `the metric '${name}' must be a scalar, or one value per example: [${size}]`,
    received,
    fix: 'Reduce the other axes first, e.g. meanPerExample(values).',
  });
}
