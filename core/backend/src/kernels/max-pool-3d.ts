import * as tf from '@tensorflow/tfjs-core';
import { padOrCrop } from '../gradients/windows.js';
import { composition } from './repair.js';

type Shape5D = [number, number, number, number, number];
type Pair = [number, number];

interface Attrs {
  readonly filterSize: number | [number, number, number];
  readonly strides: number | [number, number, number];
  readonly pad: 'valid' | 'same' | number;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** One of the two passes of planes `[batch, rows, columns, channels]`. */
interface Pass {
  readonly input: [number, number, number, number];
  readonly filterSize: Pair;
  readonly strides: Pair;
  readonly pad: tf.backend_util.ExplicitPadding;
}

interface Passes {
  /** Over height and width, with the depth as a part of the batch. */
  readonly planes: Pass;
  /** Over the depth alone. */
  readonly depths: Pass;
  readonly outShape: Shape5D;
  /** Elements that no window sees, before and after, on the three axes: tfjs pads by less than zero there. */
  readonly unseen: readonly Pair[];
}

function planPasses(shape: Shape5D, attrs: Attrs): Passes {
  const { filterSize, strides, pad, dimRoundingMode } = attrs;
  const info = tf.backend_util.computePool3DInfo(
    shape,
    filterSize,
    strides,
    1,
    pad,
    dimRoundingMode,
  );
  const { front, back, top, bottom, left, right } = info.padInfo;
  const sides: Pair[] = [
    [front, back],
    [top, bottom],
    [left, right],
  ];
  const unseen = sides.map((pair) => pair.map((n) => Math.max(-n, 0)) as Pair);
  const padding = sides.map((pair) => pair.map((n) => Math.max(n, 0)) as Pair);
  const [depth, height, width] = [1, 2, 3].map(
    (axis) => shape[axis]! - unseen[axis - 1]![0] - unseen[axis - 1]![1],
  ) as [number, number, number];
  const [batch, channels] = [shape[0], shape[4]];
  const none: Pair = [0, 0];
  return {
    planes: {
      input: [batch * depth, height, width, channels],
      filterSize: [info.filterHeight, info.filterWidth],
      strides: [info.strideHeight, info.strideWidth],
      pad: [none, padding[1]!, padding[2]!, none],
    },
    depths: {
      input: [batch, depth, info.outHeight * info.outWidth, channels],
      filterSize: [info.filterDepth, 1],
      strides: [info.strideDepth, 1],
      pad: [none, padding[0]!, none, none],
    },
    outShape: info.outShape,
    unseen,
  };
}

const crop = (x: tf.Tensor, unseen: readonly Pair[]) =>
  unseen.reduce((t, [before, after], i) => padOrCrop(t, i + 1, -before, -after), x);

const uncrop = (x: tf.Tensor, unseen: readonly Pair[]) =>
  unseen.reduce((t, [before, after], i) => padOrCrop(t, i + 1, before, after), x);

function pool(x: tf.Tensor, { input, filterSize, strides, pad }: Pass): tf.Tensor4D {
  return tf.maxPool(tf.reshape(x, input), filterSize, strides, pad);
}

function poolGradient(dy: tf.Tensor, x: tf.Tensor, output: tf.Tensor4D, pass: Pass): tf.Tensor {
  const { input, filterSize, strides, pad } = pass;
  const inputs = { dy: tf.reshape(dy, output.shape), input: tf.reshape(x, input), output };
  return tf.engine().runKernel(tf.MaxPoolGrad, inputs, { filterSize, strides, pad }) as tf.Tensor;
}

/**
 * A maximum over a box is one over planes and then over depths. The wasm kernel starts its search from
 * the least positive number, not the least number, so that no maximum comes out negative.
 */
export const maxPool3d = composition<{ readonly x: tf.Tensor5D }, Attrs>(({ x }, attrs) => {
  const { planes, depths, outShape, unseen } = planPasses(x.shape, attrs);
  return tf.reshape(pool(pool(crop(x, unseen), planes), depths), outShape);
});

/** The gradient goes back through the two passes, to the first of equal maxima, as in two dimensions. */
export const maxPool3dGradient = composition<
  { readonly dy: tf.Tensor5D; readonly input: tf.Tensor5D },
  Attrs
>(({ dy, input }, attrs) => {
  const { planes, depths, unseen } = planPasses(input.shape, attrs);
  const x = crop(input, unseen);
  const maxima = pool(x, planes);
  const dMaxima = poolGradient(dy, maxima, pool(maxima, depths), depths);
  const dx = poolGradient(dMaxima, x, maxima, planes);
  return uncrop(tf.reshape(dx, x.shape), unseen);
});
