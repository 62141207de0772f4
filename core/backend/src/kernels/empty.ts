import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { explicitPad } from './padding.js';
import type { Pad } from './padding.js';

interface Attrs {
  readonly filterSize: number | [number, number];
  readonly strides: number | [number, number];
  readonly pad: Pad;
  readonly dataFormat?: 'NHWC' | 'NCHW';
  readonly dilations?: number | [number, number] | null;
}

type Inputs = Readonly<{ x: tf.Tensor4D; filter?: tf.Tensor4D }>;

/** Shape of the result, `[batch, height, width, channels]` or as `dataFormat` says. */
function outputShape({ x, filter }: Inputs, attrs: Attrs, depthwise: boolean): number[] {
  const { filterSize, strides, dataFormat } = attrs;
  // A depthwise layer passes null.
  const dilations = attrs.dilations ?? 1;
  const pad = explicitPad(attrs.pad, dataFormat);
  if (!filter) {
    return tf.backend_util.computePool2DInfo(x.shape, filterSize, strides, dilations, pad).outShape;
  }
  const format = dataFormat === 'NCHW' ? 'channelsFirst' : 'channelsLast';
  return tf.backend_util.computeConv2DInfo(
    x.shape,
    filter.shape,
    strides,
    dilations,
    pad,
    undefined,
    depthwise,
    format,
  ).outShape;
}

/**
 * A window that fits nowhere into the image gives a result of no pixels. There the wasm pooling kernels
 * write out of bounds, and where several pixels are missing both backends make a tensor of negative
 * size.
 */
export const emptyOutput =
  (depthwise: boolean) =>
  (original: tf.KernelFunc): tf.KernelFunc => {
    return (params) => {
      const inputs = params.inputs as unknown as Inputs;
      const attrs = params.attrs as unknown as Attrs;
      const shape = outputShape(inputs, attrs, depthwise);
      if (shape.some((length) => length < 0)) throw tooSmall(inputs, attrs);
      return shape.includes(0) ? tf.zeros(shape) : original(params);
    };
  };

function tooSmall({ x, filter }: Inputs, { filterSize }: Attrs): EspalierError {
  return new EspalierError('backend/image-too-small', {
    problem: 'a convolution or pooling window is larger than its padded input',
    received: { input: x.shape, window: filter?.shape ?? filterSize },
    fix: "Use larger images, fewer strides before this layer, or padding: 'same'.",
  });
}

/** On wasm a sum over no elements stays unwritten and a mean traps; on the cpu the mean is 0. */
export const emptyReduction =
  (overNothing: number) =>
  (original: tf.KernelFunc): tf.KernelFunc => {
    return (params) => {
      const { x } = params.inputs as Record<'x', tf.Tensor>;
      if (x.size > 0) return original(params);
      const { axis, keepDims } = params.attrs as { axis?: number | number[]; keepDims?: boolean };
      const axes = tf.util.parseAxisParam(axis ?? [...x.shape.keys()], x.shape);
      const [shape] = tf.backend_util.computeOutAndReduceShapes(x.shape, axes);
      const kept = keepDims ? tf.backend_util.expandShapeToKeepDim(shape, axes) : shape;
      return tf.fill(kept, overNothing, x.dtype);
    };
  };
