import { EspalierError, isPlain, refuseForeignTensor } from '@espalier/base';
import type { Loss } from '@espalier/losses';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';

/** What a loss of the task is given in a batch. */
export interface LossArguments {
  /** Name of the output. */
  readonly output: string;
  /** Number of examples. */
  readonly size: number;
  readonly prediction: Tensor;
  readonly target: Tensor;
  /** How each time step counts, where they do not all count alike. */
  readonly steps: Tensor | undefined;
}

/**
 * A loss of each example.
 *
 * @throws EspalierError `loss/failed` for one that throws, `loss/values` for one that gives something else.
 */
export function computeLoss(loss: Loss, given: LossArguments): Tensor1D {
  const { output, size, prediction, target, steps } = given;
  const what = `the loss '${loss.name}' of output '${output}'`;
  const values: unknown = attempt(what, () => loss.perExample(prediction, target, steps));
  refuseForeignTensor(`what ${what} gives`, values);
  if (values instanceof tf.Tensor && values.rank === 1 && values.size === size) {
    return values as Tensor1D;
  }
  throw new EspalierError('loss/values', {
    problem: `${what} must give one value for each example, a tensor of shape [${size}]`,
    received: values,
    fix: isPromise(values)
      ? 'Make perExample a plain function, not an async one.'
      : 'Average over the other axes only: return meanPerExample(values), not tf.mean(values).',
  });
}

/**
 * The metrics of a loss by name, as it gives them.
 *
 * @throws EspalierError `loss/failed`, `loss/values`.
 */
export function computeMetrics(
  loss: Loss,
  { output, prediction, target, steps }: LossArguments,
): Readonly<Record<string, Tensor1D>> {
  const what = `metrics of the loss '${loss.name}' of output '${output}'`;
  const values: unknown = attempt(what, () => loss.metrics(prediction, target, steps));
  if (isPlain(values)) return values as Record<string, Tensor1D>;
  throw new EspalierError('loss/values', {
    problem: `${what} must give values per example by name`,
    received: isPromise(values) ? 'a Promise' : values,
    fix: 'Return e.g. { accuracy: accuracy(output, target) } at once, or {} for none.',
  });
}

/** What others' code gives; what it throws says where. */
function attempt<T>(what: string, compute: () => T): T {
  try {
    return compute();
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause;
    throw new EspalierError('loss/failed', {
      problem: `${what} failed: ${cause instanceof Error ? cause.message : String(cause)}`,
      fix: 'The error is in that function; its own stack is in cause.',
      cause,
    });
  }
}

function isPromise(value: unknown): boolean {
  return typeof (value as { then?: unknown } | undefined)?.then === 'function';
}
