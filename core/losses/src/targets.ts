import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import { EspalierError, suggest } from '@espalier/errors';

/** A loss per example, and what it demands of its targets. */
export interface Loss {
  readonly name: string;
  /** Loss of each example `[batch]`; further axes (time steps) are averaged. */
  perExample(output: Tensor, target: Tensor): Tensor1D;
  /** Metrics per example `[batch]`, for evaluation. */
  metrics(output: Tensor, target: Tensor): Readonly<Record<string, Tensor1D>>;
  /** Whether integer targets are class ids, to be checked against the output's last axis. */
  readonly classIds: boolean;
}

/** Options of {@link crossEntropy}. */
export interface CrossEntropyOptions {
  /** What the model's output is; default `logits`. */
  readonly from?: 'logits' | 'probabilities';
}

/**
 * Softmax cross-entropy with class ids `[batch, …]` or distributions `[batch, …, classes]`; metric
 * `accuracy`. Twice differentiable, unlike `tf.losses.softmaxCrossEntropy`.
 */
export function crossEntropy({ from = 'logits' }: CrossEntropyOptions = {}): Loss {
  const logProbabilities = (output: Tensor) =>
    from === 'logits' ? tf.logSoftmax(output) : tf.log(tf.maximum(output, 1e-7));
  return {
    name: 'cross-entropy',
    classIds: true,
    perExample(output, target) {
      const q = toDistribution(target, output);
      return perExample(tf.neg(tf.sum(tf.mul(q, logProbabilities(output)), -1)));
    },
    metrics: (output, target) => ({ accuracy: accuracy(output, target) }),
  };
}

/** Sigmoid cross-entropy of logits, element by element; metric `accuracy` at probability ½. */
export function binaryCrossEntropy(): Loss {
  return {
    name: 'binary-cross-entropy',
    classIds: false,
    perExample(output, target) {
      const t = tf.cast(target, 'float32');
      return perExample(tf.sub(tf.softplus(output), tf.mul(t, output)));
    },
    metrics(output, target) {
      const hit = tf.equal(tf.greater(output, 0), tf.greater(target, 0.5));
      return { accuracy: perExample(tf.cast(hit, 'float32')) };
    },
  };
}

/** Mean squared error; metric `mae`. */
export function meanSquaredError(): Loss {
  return {
    name: 'mean-squared-error',
    classIds: false,
    perExample: (output, target) => perExample(tf.square(difference(output, target))),
    metrics: (output, target) => ({ mae: perExample(tf.abs(difference(output, target))) }),
  };
}

/**
 * Targets as distributions `[batch, …, classes]`: class ids become one-hot, distributions pass
 * through. `output` is the output that they are for, or its shape as in
 * `ctx.model.outputShapes[name]`. For `targets` and `batch` taps that soften or mix labels.
 */
export function toDistribution(
  target: Tensor,
  output: Tensor | readonly (number | null)[],
): Tensor {
  const shape = output instanceof tf.Tensor ? output.shape : output;
  if (target.rank === shape.length) return target;
  const ids = target.dtype === 'int32' ? target : tf.cast(target, 'int32');
  // Not oneHot(…, 'float32'): the wasm kernel writes integers into that float tensor.
  return tf.cast(tf.oneHot(ids as Tensor1D, shape[shape.length - 1]!), 'float32');
}

/** 1 where the largest output is the target's class, else 0; `[batch]`. */
export function accuracy(output: Tensor, target: Tensor): Tensor1D {
  const wanted = target.rank === output.rank ? tf.argMax(target, -1) : tf.cast(target, 'int32');
  return perExample(tf.cast(tf.equal(tf.argMax(output, -1), wanted), 'float32'));
}

/** How the examples of a batch count; a batch of the trainer has these fields. */
export interface ExampleWeights {
  readonly size: number;
  /** `[size]`; absent: each example counts 1. */
  readonly weights?: Tensor;
  readonly weightSum: number;
}

/**
 * The mean over examples `[size]` by weight; 0 where every example is masked out.
 *
 * @throws EspalierError `ledger/per-example` for values of another shape.
 */
export function weightedMean(
  values: Tensor1D,
  { size, weights, weightSum }: ExampleWeights,
): Scalar {
  if (values.rank !== 1 || values.size !== size) {
    throw new EspalierError('ledger/per-example', {
      problem: `the mean over examples wants one value per example: [${size}]`,
      received: values,
      fix: 'Reduce the other axes first, e.g. tf.mean(values, -1).',
    });
  }
  if (!weights) return tf.mean(values);
  return tf.div(tf.sum(tf.mul(values, weights)), weightSum || 1);
}

/**
 * Refuses losses for outputs that the model does not have.
 *
 * @throws EspalierError `session/loss`.
 */
export function checkLosses(
  losses: Readonly<Record<string, Loss>>,
  outputs: readonly string[],
): void {
  for (const [name, loss] of Object.entries(losses)) {
    if (outputs.includes(name) && typeof loss?.perExample === 'function') continue;
    throw new EspalierError('session/loss', {
      problem: outputs.includes(name)
        ? `the loss of output '${name}' is not a loss`
        : `there is a loss for '${name}', but the model has no such output`,
      received: loss,
      fix: outputs.includes(name) ? 'Use e.g. crossEntropy().' : suggest(name, outputs),
    });
  }
}

/**
 * Refuses targets that do not fit an output, before anything is computed with them.
 *
 * @throws EspalierError `targets/shape`, `targets/range`.
 */
export async function checkTarget(
  loss: Loss,
  name: string,
  target: Tensor,
  outputShape: readonly (number | null)[],
): Promise<void> {
  const classIds = loss.classIds && target.rank === outputShape.length - 1;
  const expected = classIds ? outputShape.slice(0, -1) : outputShape;
  const fits =
    target.rank === expected.length &&
    expected.every((size, i) => i === 0 || size === null || size === target.shape[i]);
  if (!fits) {
    throw new EspalierError('targets/shape', {
      problem: `the targets of output '${name}' have shape [${target.shape.join(', ')}]; ${loss.name} wants [${describe(outputShape, loss)}]`,
      received: target.shape,
    });
  }
  if (classIds) await checkRange(name, target, outputShape[outputShape.length - 1] ?? Infinity);
}

function describe(shape: readonly (number | null)[], loss: Loss): string {
  const text = (dims: readonly (number | null)[]) => ['batch', ...dims.slice(1)].join(', ');
  return loss.classIds
    ? `${text(shape.slice(0, -1))}] (class ids) or [${text(shape)}`
    : text(shape);
}

/** Class ids that were found in range, and for how many classes: tensors do not change. */
const checked = new WeakMap<Tensor, number>();

async function checkRange(name: string, target: Tensor, classes: number): Promise<void> {
  if (checked.get(target) === classes) return;
  const ids = await target.data();
  const bad = ids.findIndex((id) => !(id >= 0 && id < classes && Number.isInteger(id)));
  if (bad < 0) {
    if (!(target instanceof tf.Variable)) checked.set(target, classes);
    return;
  }
  throw new EspalierError('targets/range', {
    problem: `the targets of output '${name}' must be class ids from 0 to ${classes - 1}; position ${bad} of the batch is not`,
    received: ids[bad],
    fix: 'Check the label encoding, or give the output layer more units.',
  });
}

function difference(output: Tensor, target: Tensor): Tensor {
  return tf.sub(output, tf.reshape(tf.cast(target, 'float32'), output.shape));
}

function perExample(values: Tensor): Tensor1D {
  if (values.rank <= 1) return values as Tensor1D;
  return tf.mean(tf.reshape(values, [values.shape[0]!, -1]), 1);
}
