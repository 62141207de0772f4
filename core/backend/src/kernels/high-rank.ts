import * as tf from '@tensorflow/tfjs-core';
import { composition } from './repair.js';

/** The highest rank that the kernels of webgl take. */
const MOST_AXES = 4;

interface Input {
  readonly x: tf.Tensor;
}

/** The tensor with one axis between all before it and all behind it. */
function around(x: tf.Tensor, axis: number): tf.Tensor3D {
  const { sizeFromShape } = tf.util;
  const [before, after] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)];
  return tf.reshape(x, [sizeFromShape(before), x.shape[axis]!, sizeFromShape(after)]);
}

/** Leaves low ranks to the kernel that there is. */
const aboveMost =
  (compute: tf.KernelFunc) =>
  (original: tf.KernelFunc): tf.KernelFunc => {
    return (params) => {
      const { x } = params.inputs as unknown as Input;
      return x.shape.length > MOST_AXES ? compute(params) : original(params);
    };
  };

interface PadAttrs {
  readonly paddings: readonly (readonly [number, number])[];
  readonly constantValue: number;
}

/** Pads axis by axis. */
export const padHighRank = aboveMost(
  composition<Input, PadAttrs>(({ x }, { paddings, constantValue }) =>
    paddings.reduce<tf.Tensor>((padded, [low, high], axis) => {
      if (low + high === 0) return padded;
      const shape = padded.shape.with(axis, low + padded.shape[axis]! + high);
      const sides: [number, number][] = [
        [0, 0],
        [low, high],
        [0, 0],
      ];
      return tf.reshape(tf.pad(around(padded, axis), sides, constantValue), shape);
    }, tf.clone(x)),
  ),
);

interface ReverseAttrs {
  readonly dims: number | readonly number[];
}

/** Reverses axis by axis. */
export const reverseHighRank = aboveMost(
  composition<Input, ReverseAttrs>(({ x }, { dims }) =>
    tf.util
      .parseAxisParam(dims as number[], x.shape)
      .reduce<tf.Tensor>(
        (turned, axis) => tf.reshape(tf.reverse(around(turned, axis), 1), x.shape),
        tf.clone(x),
      ),
  ),
);
