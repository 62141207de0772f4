import * as tf from '@tensorflow/tfjs-core';
import { convAxes, toChannelsLast } from './conv-geometry.js';
import type { ConvAxes, ConvAxis } from './conv-geometry.js';
import type { BackpropFilterAttrs, BackpropFilterInputs } from './conv2d-backprop-filter.js';
import { copyRun, writeTensor } from './memory.js';

/** Floats that the unfolded input may take at a time: 16 MiB, so that memory stays bounded. */
const unfoldedLimit = 4 * 1024 * 1024;

interface Taps {
  readonly first: number;
  readonly last: number;
}

/** The outputs `[from, to)` whose tap at `offset` falls inside the image; the others see padding. */
function insideRange(axis: ConvAxis, offset: number): readonly [from: number, to: number] {
  const from = Math.ceil((axis.before - offset) / axis.stride);
  const to = Math.ceil((axis.input + axis.before - offset) / axis.stride);
  const first = Math.min(Math.max(from, 0), axis.output);
  return [first, Math.min(Math.max(to, first), axis.output)];
}

/** Fills one row of the unfolded matrix, `[images * outRows * outColumns]`, for one tap and channel. */
function unfoldRow(
  target: Float32Array,
  start: number,
  planes: Float32Array,
  firstPlane: number,
  images: number,
  [rows, columns]: ConvAxes,
  [tapRow, tapColumn]: readonly [number, number],
): void {
  const [top, bottom] = insideRange(rows, tapRow);
  const [left, right] = insideRange(columns, tapColumn);
  const column = left * columns.stride + tapColumn - columns.before;
  const padded = bottom - top < rows.output || right - left < columns.output;
  if (padded) target.fill(0, start, start + images * rows.output * columns.output);
  for (let image = 0; image < images; image++) {
    for (let outRow = top; outRow < bottom; outRow++) {
      const row = outRow * rows.stride + tapRow - rows.before;
      const from = ((firstPlane + image) * rows.input + row) * columns.input + column;
      const to = start + (image * rows.output + outRow) * columns.output + left;
      copyRun(target, to, planes, from, right - left, columns.stride);
    }
  }
}

/** Unfolds planes `[channels, images, rows, columns]` to `[taps * channels, outputs]` (im2col). */
function unfold(
  target: Float32Array,
  planes: Float32Array,
  shape: readonly number[],
  axes: ConvAxes,
  taps: Taps,
): void {
  const [channels, images] = shape as [number, number];
  const outputs = images * axes[0].output * axes[1].output;
  let start = 0;
  for (let tap = taps.first; tap < taps.last; tap++) {
    const position = [Math.floor(tap / axes[1].filter), tap % axes[1].filter] as const;
    for (let channel = 0; channel < channels; channel++, start += outputs) {
      unfoldRow(target, start, planes, channel * images, images, axes, position);
    }
  }
}

/**
 * The filter gradient of a convolution on the wasm backend, which has no such kernel:
 * `dw[k,i,o] = Σ_{n,p} x[n, p·s + k, i] dy[n,p,o]` is one matrix product of the unfolded input
 * `[taps·inChannels, outputs]` with dy as `[outputs, outChannels]`. XNNPACK's product packs its right
 * operand once and keeps it for all groups of taps; the convolution with exchanged roles would
 * rearrange dy three times, and takes 1.2 to 2 times as long.
 */
export const conv2dBackpropFilterWasm: tf.KernelFunc = ({ inputs, attrs, backend }) => {
  const { x, dy } = inputs as unknown as BackpropFilterInputs;
  const convAttrs = attrs as unknown as BackpropFilterAttrs;
  const { filterShape } = convAttrs;
  const axes = convAxes(x.shape, filterShape, convAttrs);
  if (x.size === 0 || dy.size === 0) return tf.zeros(filterShape);
  return tf.tidy(() => {
    const planes = tf.transpose(toChannelsLast(x, convAttrs), [3, 0, 1, 2]);
    const right = tf.reshape(toChannelsLast(dy, convAttrs), [-1, filterShape[3]]);
    const tapCount = filterShape[0] * filterShape[1];
    const [channels, outputs] = [filterShape[2], right.shape[0]!];
    const group = Math.max(1, Math.floor(unfoldedLimit / (channels * outputs)));
    const products: tf.Tensor[] = [];
    for (let first = 0; first < tapCount; first += group) {
      const taps = { first, last: Math.min(first + group, tapCount) };
      const shape = [(taps.last - first) * channels, outputs];
      const unfolded = writeTensor(backend, shape, [planes], (target, source) =>
        unfold(target, source!, planes.shape, axes, taps),
      );
      products.push(tf.matMul(unfolded, right));
      unfolded.dispose();
    }
    return tf.reshape(products.length === 1 ? products[0]! : tf.concat(products, 0), filterShape);
  });
};
