import * as tf from '@tensorflow/tfjs-core';
import { writeTensor } from './memory.js';

interface Attrs {
  readonly axis?: number | number[] | null;
  readonly keepDims?: boolean;
}

/** How many axes are reduced, where it is the first ones that are; `undefined` where others are. */
function leadingAxes(x: tf.Tensor, { axis }: Attrs): number | undefined {
  if (axis === undefined || axis === null) return undefined;
  const axes = tf.util.parseAxisParam(axis, x.shape).sort((a, b) => a - b);
  return axes.length < x.rank && axes.every((each, i) => each === i) ? axes.length : undefined;
}

/** Sums of eight neighbouring columns, in registers: one by one takes three times as long. */
function addEight(sums: Float32Array, x: Float32Array, columns: number, first: number): void {
  let [a, b, c, d, e, f, g, h] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let i = first; i < x.length; i += columns) {
    a += x[i]!;
    b += x[i + 1]!;
    c += x[i + 2]!;
    d += x[i + 3]!;
    e += x[i + 4]!;
    f += x[i + 5]!;
    g += x[i + 6]!;
    h += x[i + 7]!;
  }
  sums.set([a, b, c, d, e, f, g, h], first);
}

function addColumns(sums: Float32Array, x: Float32Array): void {
  const columns = sums.length;
  let first = 0;
  for (; first + 8 <= columns; first += 8) addEight(sums, x, columns, first);
  for (; first < columns; first++) {
    let sum = 0;
    for (let i = first; i < x.length; i += columns) sum += x[i]!;
    sums[first] = sum;
  }
}

/**
 * Sums or means over leading axes, as batch normalization and the gradient of a bias take them. The wasm
 * kernels transpose the whole tensor first; this goes down its columns, and adds in double precision.
 */
export const columnReduction =
  (kind: 'sum' | 'mean') =>
  (original: tf.KernelFunc): tf.KernelFunc => {
    return (params) => {
      const { x } = params.inputs as Record<'x', tf.Tensor>;
      const attrs = (params.attrs ?? {}) as Attrs;
      const reduced = x.dtype === 'float32' ? leadingAxes(x, attrs) : undefined;
      if (reduced === undefined) return original(params);
      const kept = x.shape.slice(reduced);
      const ones = x.shape.slice(0, reduced).fill(1);
      const rows = tf.util.sizeFromShape(x.shape.slice(0, reduced));
      const shape = attrs.keepDims ? [...ones, ...kept] : kept;
      return writeTensor(params.backend, shape, [x], (target, source) => {
        addColumns(target, source!);
        if (kind === 'mean') target.forEach((sum, i) => (target[i] = sum / rows));
      });
    };
  };
