import * as tf from '@tensorflow/tfjs-core';
import { convAxes, frame, fromChannelsLast, toChannelsLast } from './conv-geometry.js';
import type { ConvAttrs, ConvAxis, Frame, Shape4D } from './conv-geometry.js';
import { writeTensor } from './memory.js';

interface Inputs {
  readonly dy: tf.Tensor4D;
  readonly filter: tf.Tensor4D;
}

interface Attrs extends ConvAttrs {
  readonly inputShape: Shape4D;
}

/** How an axis of stride s splits into phases: input `q·s + phase - before` sees the taps `phase + j·s`. */
interface Phases {
  /** Phases that any tap falls on: all s of them, or only `filter` where the stride is larger. */
  readonly count: number;
  /** Taps per phase. */
  readonly taps: number;
  /** The first q and the number of q's that cover the input. */
  readonly first: number;
  readonly length: number;
}

type Strides = readonly [rows: number, columns: number];

function phases({ input, filter, stride, before }: ConvAxis): Phases {
  const first = Math.floor(before / stride);
  return {
    count: Math.min(stride, filter),
    taps: Math.ceil(filter / stride),
    first,
    length: Math.ceil((before + input) / stride) - first,
  };
}

/**
 * The filter as `[taps, taps, outChannels, phases * phases * inChannels]`: per phase, every s-th tap
 * in reverse order, with the two channel axes exchanged. A loop, because the wasm kernels for
 * reversing and for transposing six axes take 50 ns an element.
 */
function phaseFilter(
  backend: object,
  filter: tf.Tensor4D,
  rows: Phases,
  columns: Phases,
  strides: Strides,
): tf.Tensor4D {
  const [height, width, inChannels, outChannels] = filter.shape;
  const channels = rows.count * columns.count * inChannels;
  const shape = [rows.taps, columns.taps, outChannels, channels];
  return writeTensor(backend, shape, [filter], (target, source) => {
    // A phase has fewer taps than another where the stride does not divide the filter.
    target.fill(0);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const tapRow = rows.taps - 1 - Math.floor(y / strides[0]);
        const tapColumn = columns.taps - 1 - Math.floor(x / strides[1]);
        const phase = (y % strides[0]) * columns.count + (x % strides[1]);
        const to =
          (tapRow * columns.taps + tapColumn) * outChannels * channels + phase * inChannels;
        let from = (y * width + x) * inChannels * outChannels;
        for (let i = 0; i < inChannels; i++) {
          for (let o = 0; o < outChannels; o++) target[to + o * channels + i] = source![from++]!;
        }
      }
    }
  }) as tf.Tensor4D;
}

/** Lays the phases, so far channels, out as pixels; phases that no tap falls on are zero. */
function interleave(
  x: tf.Tensor4D,
  rows: Phases,
  columns: Phases,
  strides: Strides,
  channels: number,
): tf.Tensor4D {
  const batch = x.shape[0];
  const phase = columns.count * channels;
  const apart = tf.reshape(x, [batch * rows.length, columns.length, rows.count, phase]);
  const rowsOut = tf.transpose(apart, [0, 2, 1, 3]);
  const complete = tf.pad(rowsOut, [
    [0, 0],
    [0, strides[0] - rows.count],
    [0, 0],
    [0, strides[1] * channels - phase],
  ]);
  return tf.reshape(complete, [
    batch,
    rows.length * strides[0],
    columns.length * strides[1],
    channels,
  ]);
}

/** What the phases' convolution reads of dy: the first q sees dy back to `q - (taps - 1)`. */
const cover = ({ first, length, taps }: Phases): Frame => ({
  before: taps - 1 - first,
  size: length + taps - 1,
});

/** The input's own extent among the pixels of all phases. */
const crop = ({ input, before, stride }: ConvAxis, { first }: Phases): Frame => ({
  before: first * stride - before,
  size: input,
});

/**
 * The input gradient of a convolution, `dx[u - before] = Σ_k dy[(u - k) / s] f[k]` over the taps k that
 * s divides u - k by. With `u = q·s + phase` and `k = phase + j·s` this is `Σ_j dy[q - j] f[phase + j·s]`:
 * for each phase a convolution of stride 1 with the reversed taps of that phase, and all phases are
 * output channels of one convolution (Shi et al. 2016, arXiv:1609.05158, read backwards). It uses
 * XNNPACK, where the wasm kernel is a plain loop 5 to 12 times slower than the forward convolution,
 * and does no work on the zeros that stuffing dy would put in.
 */
export const conv2dBackpropInput: tf.KernelFunc = ({ inputs, attrs, backend }) => {
  const { dy, filter } = inputs as unknown as Inputs;
  const convAttrs = attrs as unknown as Attrs;
  const { inputShape } = convAttrs;
  const axes = convAxes(inputShape, filter.shape, convAttrs);
  if (dy.size === 0 || filter.size === 0) return tf.zeros(inputShape);
  return tf.tidy(() => {
    const [rows, columns] = [phases(axes[0]), phases(axes[1])];
    const strides = [axes[0].stride, axes[1].stride] as const;
    const errors = frame(toChannelsLast(dy, convAttrs), cover(rows), cover(columns));
    const turned = phaseFilter(backend, filter, rows, columns, strides);
    const channels = tf.conv2d(errors, turned, 1, 'valid');
    const unit = strides[0] === 1 && strides[1] === 1;
    const all = unit ? channels : interleave(channels, rows, columns, strides, filter.shape[2]);
    const dx = frame(all, crop(axes[0], rows), crop(axes[1], columns));
    return fromChannelsLast(dx, convAttrs);
  });
};
