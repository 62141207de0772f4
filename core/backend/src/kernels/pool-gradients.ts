import * as tf from '@tensorflow/tfjs-core';
import { writeTensor } from './memory.js';
import { explicitPad } from './padding.js';
import type { Pad } from './padding.js';

interface Inputs {
  readonly dy: tf.Tensor4D;
  readonly input: tf.Tensor4D;
}

interface Attrs {
  readonly filterSize: number | [number, number];
  readonly strides: number | [number, number];
  readonly pad: Pad;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

type PoolInfo = ReturnType<typeof tf.backend_util.computePool2DInfo>;

/** Offsets, at channel 0, of the pixels inside of one window: padding is not among them. */
function windowPixels(info: PoolInfo, image: number, outRow: number, outColumn: number): number[] {
  const top = outRow * info.strideHeight - info.padInfo.top;
  const left = outColumn * info.strideWidth - info.padInfo.left;
  const bottom = Math.min(top + info.filterHeight, info.inHeight);
  const right = Math.min(left + info.filterWidth, info.inWidth);
  const pixels: number[] = [];
  for (let row = Math.max(top, 0); row < bottom; row++) {
    for (let column = Math.max(left, 0); column < right; column++) {
      pixels.push(((image * info.inHeight + row) * info.inWidth + column) * info.inChannels);
    }
  }
  return pixels;
}

/** What one window adds to dx: `output` is the offset of its output at channel 0. */
type Spread = (
  dx: Float32Array,
  dy: Float32Array,
  x: Float32Array,
  pixels: readonly number[],
  output: number,
  channels: number,
) => void;

/** Among equal maxima the first gets the gradient, as in the kernels that this replaces. */
const toMaximum: Spread = (dx, dy, x, pixels, output, channels) => {
  for (let channel = 0; channel < channels; channel++) {
    let best = pixels[0]! + channel;
    for (const pixel of pixels) if (x[pixel + channel]! > x[best]!) best = pixel + channel;
    dx[best]! += dy[output + channel]!;
  }
};

/** The mean is over the pixels that there are, as in the forward kernels. */
const toAll: Spread = (dx, dy, _x, pixels, output, channels) => {
  for (const pixel of pixels) {
    for (let channel = 0; channel < channels; channel++) {
      dx[pixel + channel]! += dy[output + channel]! / pixels.length;
    }
  }
};

/** A window may lie in the padding alone; it then adds nothing. */
function poolGradient(spread: Spread): tf.KernelFunc {
  return ({ inputs, attrs, backend }) => {
    const { dy, input } = inputs as unknown as Inputs;
    const { filterSize, strides, pad, dimRoundingMode } = attrs as unknown as Attrs;
    const info = tf.backend_util.computePool2DInfo(
      input.shape,
      filterSize,
      strides,
      1,
      explicitPad(pad),
      dimRoundingMode,
    );
    return writeTensor(backend, input.shape, [dy, input], (dx, errors, x) => {
      dx.fill(0);
      let output = 0;
      for (let image = 0; image < info.batchSize; image++) {
        for (let row = 0; row < info.outHeight; row++) {
          for (let column = 0; column < info.outWidth; column++, output += info.inChannels) {
            const pixels = windowPixels(info, image, row, column);
            if (pixels.length > 0) spread(dx, errors!, x!, pixels, output, info.inChannels);
          }
        }
      }
    });
  };
}

/**
 * The gradients of pooling go through the windows once and add what each gives to its pixels. The
 * kernels go through the pixels instead, search the windows that hold each, and for the maximum
 * search those windows again: a quarter of the time of a small network's step on wasm.
 */
export const maxPoolGradient = poolGradient(toMaximum);

/** See {@link maxPoolGradient}. */
export const avgPoolGradient = poolGradient(toAll);
