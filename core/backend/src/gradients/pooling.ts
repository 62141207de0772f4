import * as tf from '@tensorflow/tfjs-core';
import { detach } from '../stop-gradient.js';
import { defineGradient, runKernel } from './define.js';
import { padOrCrop, strideAxis } from './windows.js';

interface Attrs {
  readonly filterSize: number | [number, number];
  readonly strides: number | [number, number];
  readonly pad: 'valid' | 'same' | number;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** How the windows lie along one spatial axis. */
interface WindowAxis {
  readonly axis: number;
  readonly input: number;
  readonly output: number;
  readonly filter: number;
  readonly stride: number;
  readonly before: number;
}

function windowAxes(shape: number[], attrs: Attrs): WindowAxis[] {
  const { filterSize, strides, pad, dimRoundingMode } = attrs;
  const depthwise = shape.length === 5;
  const info = depthwise
    ? tf.backend_util.computePool3DInfo(
        shape as [number, number, number, number, number],
        filterSize as number,
        strides as number,
        1,
        pad,
        dimRoundingMode,
      )
    : tf.backend_util.computePool2DInfo(
        shape as [number, number, number, number],
        filterSize,
        strides,
        1,
        pad,
        dimRoundingMode,
      );
  const depth = 'filterDepth' in info;
  const filters = [...(depth ? [info.filterDepth] : []), info.filterHeight, info.filterWidth];
  const steps = [...(depth ? [info.strideDepth] : []), info.strideHeight, info.strideWidth];
  const before = [...(depth ? [info.padInfo.front] : []), info.padInfo.top, info.padInfo.left];
  return filters.map((filter, i) => ({
    axis: i + 1,
    input: shape[i + 1]!,
    output: info.outShape[i + 1]!,
    filter,
    stride: steps[i]!,
    before: before[i]!,
  }));
}

/** The length that the windows cover, padding included. */
const measureCover = ({ output, stride, filter }: WindowAxis) => (output - 1) * stride + filter;

/** Filter size over the number of real elements in each window, broadcastable over dy. */
function windowShare(window: WindowAxis, rank: number): tf.Tensor {
  const shares = Array.from({ length: window.output }, (_, o) => {
    const start = o * window.stride - window.before;
    const real = Math.min(start + window.filter, window.input) - Math.max(start, 0);
    return real > 0 ? window.filter / real : 0;
  });
  const shape = Array.from({ length: rank }, (_, i) => (i === window.axis ? window.output : 1));
  return tf.tensor(shares, shape);
}

/**
 * The average runs over the real elements of a window, yet the cpu and wasm gradient kernels divide
 * by the whole filter size. Here the padding is made explicit, so that every window is full and the
 * kernel is right on every backend, and dy is scaled by the share of real elements.
 */
function averageGradient(kernel: string, dy: tf.Tensor, x: tf.Tensor, attrs: Attrs): tf.Tensor {
  const windows = windowAxes(x.shape, attrs);
  const scaled = windows
    .filter((w) => w.before > 0 || measureCover(w) > w.before + w.input)
    .reduce((t, w) => tf.mul(t, windowShare(w, x.rank)), dy);
  const shape = [x.shape[0]!, ...windows.map(measureCover), x.shape[x.rank - 1]!];
  const { filterSize, strides } = attrs;
  const input = tf.zeros(shape);
  const full = runKernel(kernel, { dy: scaled, input }, { filterSize, strides, pad: 'valid' });
  return windows.reduce(
    (t, w) => padOrCrop(t, w.axis, -w.before, w.input + w.before - measureCover(w)),
    full,
  );
}

function average(forward: string, backward: string): tf.GradConfig[] {
  return [
    defineGradient<[tf.Tensor], Attrs>(forward, { inputs: ['x'] }, (dy, [x], attrs) => ({
      x: () => averageGradient(backward, dy, x, attrs),
    })),
    defineGradient<[tf.Tensor], Attrs>(backward, { inputs: ['input'] }, (ddx, [input], attrs) => ({
      dy: () => runKernel(forward, { x: ddx }, attrs),
      input: () => tf.zeros(input.shape),
    })),
  ];
}

/** All positions inside a window, in row-major order. */
function taps(windows: readonly WindowAxis[]): number[][] {
  return windows.reduce<number[][]>(
    (heads, { filter }) =>
      heads.flatMap((head) => Array.from({ length: filter }, (_, i) => [...head, i])),
    [[]],
  );
}

/** The element at one tap of every window: `[batch, ...output, channels]`. */
function pickTap(
  padded: tf.Tensor,
  windows: readonly WindowAxis[],
  tap: readonly number[],
): tf.Tensor {
  return windows.reduce((t, { axis, output, stride }, i) => {
    const length = (output - 1) * stride + 1;
    const from = padOrCrop(t, axis, -tap[i]!, length + tap[i]! - t.shape[axis]!);
    return strideAxis(from, axis, stride);
  }, padded);
}

/**
 * Takes from each window of `ddx` the element where `x` had its maximum `y`: the adjoint of the max
 * pooling gradient. Among equal maxima the first counts, as it does in the kernels.
 */
function pickMaxima(ddx: tf.Tensor, x: tf.Tensor, y: tf.Tensor, attrs: Attrs): tf.Tensor {
  const windows = windowAxes(x.shape, attrs);
  const cover = (t: tf.Tensor, fill: number) => {
    const padding = t.shape.map((n, i): [number, number] => {
      const w = windows.find(({ axis }) => axis === i);
      return w ? [w.before, Math.max(0, measureCover(w) - w.before - n)] : [0, 0];
    });
    return tf.pad(t, padding, fill);
  };
  const [paddedX, paddedD] = [cover(x, -Infinity), cover(ddx, 0)];
  let found = tf.zerosLike(y);
  let picked = tf.zerosLike(y);
  for (const tap of taps(windows)) {
    const isMaximum = tf.cast(tf.equal(pickTap(paddedX, windows, tap), y), 'float32');
    const first = tf.mul(isMaximum, tf.sub(1, found));
    picked = tf.add(picked, tf.mul(first, pickTap(paddedD, windows, tap)));
    found = tf.maximum(found, isMaximum);
  }
  return picked;
}

function maximum(backward: string): tf.GradConfig {
  return defineGradient<[input: tf.Tensor, output: tf.Tensor], Attrs>(
    backward,
    { inputs: ['input', 'output'] },
    (ddx, [input, output], attrs) => ({
      dy: () => pickMaxima(ddx, detach(input), detach(output), attrs),
      input: () => tf.zeros(input.shape),
      output: () => tf.zeros(output.shape),
    }),
  );
}

export const pooling: readonly tf.GradConfig[] = [
  ...average(tf.AvgPool, tf.AvgPoolGrad),
  ...average(tf.AvgPool3D, tf.AvgPool3DGrad),
  maximum(tf.MaxPoolGrad),
  maximum(tf.MaxPool3DGrad),
];
