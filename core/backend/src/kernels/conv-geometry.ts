import * as tf from '@tensorflow/tfjs-core';
import { explicitPad } from './padding.js';
import type { Pad } from './padding.js';

/** The attributes that tfjs gives to every kernel of a convolution. */
export interface ConvAttrs {
  readonly strides: number | [number, number];
  readonly pad: Pad;
  readonly dataFormat?: 'NHWC' | 'NCHW';
  readonly dilations?: number | [number, number];
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** One spatial axis of a convolution: output `o` and tap `k` meet at input `o * stride + k * dilation - before`. */
export interface ConvAxis {
  readonly input: number;
  readonly output: number;
  readonly filter: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
}

export type ConvAxes = readonly [rows: ConvAxis, columns: ConvAxis];

export type Shape4D = [number, number, number, number];

/** Resolves padding, strides and data format to plain numbers, by tfjs's own rules where they are right. */
export function convAxes(
  inputShape: Shape4D,
  filterShape: Shape4D,
  attrs: ConvAttrs,
  depthwise = false,
): ConvAxes {
  const info = tf.backend_util.computeConv2DInfo(
    inputShape,
    filterShape,
    attrs.strides,
    attrs.dilations ?? 1,
    explicitPad(attrs.pad, attrs.dataFormat),
    attrs.dimRoundingMode,
    depthwise,
    tf.backend_util.convertConv2DDataFormat(attrs.dataFormat ?? 'NHWC'),
  );
  const rows = {
    input: info.inHeight,
    output: info.outHeight,
    filter: info.filterHeight,
    stride: info.strideHeight,
    dilation: info.dilationHeight,
    before: info.padInfo.top,
  };
  const columns = {
    input: info.inWidth,
    output: info.outWidth,
    filter: info.filterWidth,
    stride: info.strideWidth,
    dilation: info.dilationWidth,
    before: info.padInfo.left,
  };
  return [rows, columns];
}

/** How far the taps of a filter reach beyond its first: `(filter - 1) * dilation`. */
export function reach({ filter, dilation }: ConvAxis): number {
  return (filter - 1) * dilation;
}

/** Where a frame begins on one axis (`before` zeros come first; negative crops) and how long it is. */
export interface Frame {
  readonly before: number;
  readonly size: number;
}

/** Cuts the given frame out of `[batch, rows, columns, channels]`, with zeros outside of the image. */
export function frame(x: tf.Tensor4D, rows: Frame, columns: Frame): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const begin = [rows, columns].map(({ before }) => Math.max(-before, 0)) as [number, number];
  const kept = [rows, columns].map(({ before, size }, i) =>
    Math.min(x.shape[i + 1]! - begin[i]!, size - Math.max(before, 0)),
  ) as [number, number];
  const cropped =
    kept[0] === height && kept[1] === width
      ? x
      : tf.slice(x, [0, ...begin, 0], [batch, ...kept, channels]);
  const padding = [rows, columns].map(({ before, size }, i): [number, number] => {
    const lead = Math.max(before, 0);
    return [lead, size - lead - kept[i]!];
  }) as [[number, number], [number, number]];
  const padded = padding.some(([lead, trail]) => lead > 0 || trail > 0);
  return padded ? tf.pad(cropped, [[0, 0], ...padding, [0, 0]]) : cropped;
}

/** The backprop kernels below compute channels last; these two bring other data there and back. */
export function toChannelsLast(x: tf.Tensor4D, { dataFormat }: ConvAttrs): tf.Tensor4D {
  return dataFormat === 'NCHW' ? tf.transpose(x, [0, 2, 3, 1]) : x;
}

export function fromChannelsLast(x: tf.Tensor4D, { dataFormat }: ConvAttrs): tf.Tensor4D {
  return dataFormat === 'NCHW' ? tf.transpose(x, [0, 3, 1, 2]) : x;
}
