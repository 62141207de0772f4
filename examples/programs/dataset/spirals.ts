import { keyedRng } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';

/** Points of three classes, batch by batch, as `tf.data` gives them. */
export interface Batches {
  readonly size: number;
  iterator(): Promise<{ next(): Promise<IteratorResult<{ xs: tf.Tensor; ys: tf.Tensor }>> }>;
}

const CLASSES = 3;

/** Three arms of a spiral with a little noise: `xs` `[n, 2]`, `ys` one-hot `[n, 3]`. */
export function spirals(name: string, { batches = 8, batchSize = 24 } = {}): Batches {
  const read = (index: number) => {
    const draw = keyedRng(1, name, index);
    const ids = Array.from({ length: batchSize }, (_, i) => i % CLASSES);
    const points = ids.map((id) => {
      const radius = 0.2 + draw();
      const angle = (2 * Math.PI * id) / CLASSES + 2 * radius + 0.3 * (draw() - 0.5);
      return [2 * radius * Math.cos(angle), 2 * radius * Math.sin(angle)];
    });
    return { xs: tf.tensor2d(points), ys: tf.oneHot(tf.tensor1d(ids, 'int32'), CLASSES) };
  };
  return {
    size: batches,
    async iterator() {
      let index = 0;
      return {
        async next() {
          if (index === batches) return { value: undefined, done: true };
          return { value: read(index++), done: false };
        },
      };
    },
  };
}
