import { keyedRng } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';

const SIZE = 8;

/** Whether a pixel of the line through the middle is set, by kind of line. */
const LINES: readonly ((row: number, column: number) => boolean)[] = [
  (row) => row >> 1 === 2,
  (_, column) => column >> 1 === 2,
  (row, column) => Math.abs(row - column) < 1.5,
  (row, column) => Math.abs(row + column - SIZE + 1) < 1.5,
];

/** Images `[n, 8, 8, 1]` in 0…1 and their classes, one-hot `[n, kinds]`. */
export interface Patterns {
  readonly images: tf.Tensor4D;
  readonly labels: tf.Tensor2D;
}

/** Lines (horizontal, vertical, and the two diagonals) in noise: the same images in every run. */
export function linesInNoise(name: string, count: number, kinds = LINES): Patterns {
  const draw = keyedRng(1, name);
  const ids = Array.from({ length: count }, (_, i) => i % kinds.length);
  const pixels = ids.flatMap((id) =>
    Array.from({ length: SIZE * SIZE }, (_, i) => {
      const set = kinds[id]!(Math.floor(i / SIZE), i % SIZE);
      return 0.6 * draw() + (set ? 0.4 : 0);
    }),
  );
  return {
    images: tf.tensor4d(pixels, [count, SIZE, SIZE, 1]),
    labels: tf.oneHot(tf.tensor1d(ids, 'int32'), kinds.length) as tf.Tensor2D,
  };
}

/** The outlines of a square and a cross: kinds for {@link linesInNoise}. */
export const SHAPES: typeof LINES = [
  (row, column) => [row, column].some((at) => at === 1 || at === 6),
  (row, column) => row >> 1 === 2 || column >> 1 === 2,
];
