import * as tf from '@tensorflow/tfjs-core';
import { defineGradient } from './define.js';

interface Attrs {
  readonly size: readonly [number, number];
  readonly alignCorners: boolean;
  readonly halfPixelCenters: boolean;
}

type Weights = (
  position: number,
  length: number,
  attrs: Attrs,
) => readonly (readonly [number, number])[];

/** The two neighbours of a source position and their weights. */
const bilinear: Weights = (position, length) => {
  const low = Math.max(0, Math.floor(position));
  const high = Math.min(length - 1, Math.ceil(position));
  const share = position - low;
  return [
    [low, 1 - share],
    [high, share],
  ];
};

const nearest: Weights = (position, length, { alignCorners }) => {
  const index = alignCorners ? Math.round(position) : Math.floor(position);
  return [[Math.max(0, Math.min(length - 1, index)), 1]];
};

/** `[input, output]`: how much each source row or column gives to each resized one. */
function interpolation(
  input: number,
  output: number,
  attrs: Attrs,
  weights: Weights,
  halfPixelShift: number,
): tf.Tensor2D {
  const corners = attrs.alignCorners && output > 1 ? 1 : 0;
  const scale = (input - corners) / (output - corners);
  const matrix = new Float32Array(input * output);
  for (let o = 0; o < output; o++) {
    const position = attrs.halfPixelCenters ? scale * (o + 0.5) - halfPixelShift : scale * o;
    for (const [i, weight] of weights(position, input, attrs)) matrix[i * output + o]! += weight;
  }
  return tf.tensor2d(matrix, [input, output]);
}

/**
 * Resizing is linear and separable, `y = R x C`, so its gradient is `Rᵀ dy Cᵀ`: two matrix products,
 * which have gradients of their own, where the kernels have none.
 */
function resizeGradient(kernelName: string, weights: Weights, halfPixelShift: number) {
  return defineGradient<[tf.Tensor], Attrs>(
    kernelName,
    { inputs: ['images'] },
    (dy, [images], attrs) => ({
      images: () => {
        const [batch, height, width, channels] = images.shape as [number, number, number, number];
        const [newHeight, newWidth] = attrs.size;
        const rows = interpolation(height, newHeight, attrs, weights, halfPixelShift);
        const columns = interpolation(width, newWidth, attrs, weights, halfPixelShift);
        const byRow = tf.reshape(dy, [batch, newHeight, newWidth * channels]);
        const tall = tf.matMul(tf.expandDims(rows, 0), byRow);
        const byColumn = tf.reshape(tall, [batch * height, newWidth, channels]);
        return tf.reshape(tf.matMul(tf.expandDims(columns, 0), byColumn), images.shape);
      },
    }),
  );
}

export const resize: readonly tf.GradConfig[] = [
  resizeGradient(tf.ResizeBilinear, bilinear, 0.5),
  resizeGradient(tf.ResizeNearestNeighbor, nearest, 0),
];
