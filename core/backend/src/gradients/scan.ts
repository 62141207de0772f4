import * as tf from '@tensorflow/tfjs-core';
import { defineGradient } from './define.js';

interface ScanAttrs {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

const cumsum = defineGradient<[], ScanAttrs>(tf.Cumsum, {}, (dy, _saved, attrs) => ({
  x: () => tf.cumsum(dy, attrs.axis, attrs.exclusive, !attrs.reverse),
}));

/** `out[k] = x[k + by]` along `axis`, zero beyond the end. */
function shift(x: tf.Tensor, by: number, axis: number): tf.Tensor {
  const length = x.shape[axis]!;
  const begin = x.shape.map((_, i) => (i === axis ? by : 0));
  const size = x.shape.map((n, i) => (i === axis ? length - by : n));
  const after = x.shape.map((_, i): [number, number] => [0, i === axis ? by : 0]);
  return tf.pad(tf.slice(x, begin, size), after);
}

/**
 * Solves `b[k] = a[k] + c[k] * b[k + 1]` along `axis` by recursive doubling
 * (Hillis and Steele, "Data parallel algorithms", 1986): log2(n) steps.
 */
function backwardRecurrence(a: tf.Tensor, c: tf.Tensor, axis: number): tf.Tensor {
  let [sum, factor] = [a, c];
  for (let by = 1; by < a.shape[axis]!; by *= 2) {
    sum = tf.add(sum, tf.mul(factor, shift(sum, by, axis)));
    factor = tf.mul(factor, shift(factor, by, axis));
  }
  return sum;
}

/**
 * d/dx[k] of a cumulative product is `prod(x[<k]) * b[k]` with `b[k] = dy[k] + x[k+1] * b[k+1]`.
 * Unlike the usual `cumsum(dy * y) / x` it divides by nothing, so it holds where x is 0.
 */
function cumprodGradient(dy: tf.Tensor, x: tf.Tensor, attrs: ScanAttrs): tf.Tensor {
  const axis = attrs.axis < 0 ? attrs.axis + x.rank : attrs.axis;
  const flip = (t: tf.Tensor) => (attrs.reverse ? tf.reverse(t, axis) : t);
  const [forwardX, forwardDy] = [flip(x), flip(dy)];
  const reaching = attrs.exclusive ? shift(forwardDy, 1, axis) : forwardDy;
  const later = backwardRecurrence(reaching, shift(forwardX, 1, axis), axis);
  return flip(tf.mul(tf.cumprod(forwardX, axis, true, false), later));
}

const cumprod = defineGradient<[tf.Tensor], ScanAttrs>(
  tf.Cumprod,
  { inputs: ['x'] },
  (dy, [x], attrs) => ({ x: () => cumprodGradient(dy, x, attrs) }),
);

/** d/dx[k] of a product is the product of all others: two exclusive cumulative products. */
function prodGradient(dy: tf.Tensor, x: tf.Tensor, axis: number | number[] | null): tf.Tensor {
  const axes = axis === null ? x.shape.map((_, i) => i) : tf.util.parseAxisParam(axis, x.shape);
  const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const order = [...kept, ...axes];
  const moved = tf.transpose(x, order);
  const outer = kept.map((i) => x.shape[i]!);
  const flat = tf.reshape(moved, [...outer, -1]);
  const last = outer.length;
  const others = tf.mul(tf.cumprod(flat, last, true, false), tf.cumprod(flat, last, true, true));
  const gradient = tf.mul(others, tf.reshape(dy, [...outer, 1]));
  const undo = order.map((_, i) => order.indexOf(i));
  return tf.transpose(tf.reshape(gradient, moved.shape), undo);
}

const prod = defineGradient<[tf.Tensor], { readonly axis: number | number[] | null }>(
  tf.Prod,
  { inputs: ['x'] },
  (dy, [x], { axis }) => ({ x: () => prodGradient(dy, x, axis ?? null) }),
);

export const scan: readonly tf.GradConfig[] = [cumsum, cumprod, prod];
