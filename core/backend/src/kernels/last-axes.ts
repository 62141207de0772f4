import * as tf from '@tensorflow/tfjs-core';

/** Whether a tensor, apart from leading ones, has the shape of x's last axes: it repeats in order. */
export function alongLastAxes(x: tf.Tensor, { shape, rank }: tf.Tensor): boolean {
  const first = shape.findIndex((n) => n !== 1);
  const last = first === -1 ? [] : shape.slice(first);
  return rank <= x.rank && tf.util.arraysEqual(last, x.shape.slice(x.rank - last.length));
}
