import * as tf from '@tensorflow/tfjs-core';

/** Puts `factor - 1` zeros after every element along `axis`, but not after the last. */
export function dilateAxis(x: tf.Tensor, axis: number, factor: number): tf.Tensor {
  const length = x.shape[axis]!;
  if (factor === 1 || length <= 1) return x;
  const outer = tf.util.sizeFromShape(x.shape.slice(0, axis));
  const inner = tf.util.sizeFromShape(x.shape.slice(axis + 1));
  const cells = tf.reshape(x, [outer, length, 1, inner]);
  const stuffed = tf.pad(cells, [
    [0, 0],
    [0, 0],
    [0, factor - 1],
    [0, 0],
  ]);
  const long = tf.reshape(stuffed, [outer, length * factor, inner]);
  const size = (length - 1) * factor + 1;
  const trimmed = tf.slice(long, [0, 0, 0], [outer, size, inner]);
  return tf.reshape(trimmed, withAxis(x.shape, axis, size));
}

/** Every `factor`-th element along `axis`, from the first: the adjoint of {@link dilateAxis}. */
export function strideAxis(x: tf.Tensor, axis: number, factor: number): tf.Tensor {
  if (factor === 1) return x;
  const length = Math.ceil(x.shape[axis]! / factor);
  const outer = tf.util.sizeFromShape(x.shape.slice(0, axis));
  const inner = tf.util.sizeFromShape(x.shape.slice(axis + 1));
  const missing = length * factor - x.shape[axis]!;
  const flat = tf.reshape(x, [outer, x.shape[axis]!, inner]);
  const padded = tf.pad(flat, [
    [0, 0],
    [0, missing],
    [0, 0],
  ]);
  const cells = tf.reshape(padded, [outer, length, factor, inner]);
  const first = tf.slice(cells, [0, 0, 0, 0], [outer, length, 1, inner]);
  return tf.reshape(first, withAxis(x.shape, axis, length));
}

function withAxis(shape: readonly number[], axis: number, size: number): number[] {
  return shape.map((n, i) => (i === axis ? size : n));
}

/** Adds zeros before and after along `axis`; a negative count removes elements instead. */
export function padOrCrop(x: tf.Tensor, axis: number, before: number, after: number): tf.Tensor {
  const length = x.shape[axis]! + Math.min(before, 0) + Math.min(after, 0);
  const begin = x.shape.map((_, i) => (i === axis ? Math.max(-before, 0) : 0));
  const cropped =
    length === x.shape[axis] ? x : tf.slice(x, begin, withAxis(x.shape, axis, length));
  if (before <= 0 && after <= 0) return cropped;
  const padding = x.shape.map((_, i): [number, number] =>
    i === axis ? [Math.max(before, 0), Math.max(after, 0)] : [0, 0],
  );
  return tf.pad(cropped, padding);
}
