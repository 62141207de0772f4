import { parseOptions } from '@espalier/core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import * as z from 'zod';
import {
  convolutionUnit,
  imageInput,
  networkOptions,
  normalization,
  normalizedConvolution,
  pooledClassifier,
  rectifier,
  scaled,
  stacked,
  widthOption,
} from './layers.js';

/** Channels and blocks of each stage. */
const STAGES = [
  [64, 1],
  [128, 2],
  [256, 2],
  [512, 6],
  [1024, 2],
] as const;

const options = networkOptions.extend({
  /** The paper's α: times 32 channels in the stem, and 64 to 1024. */
  width: widthOption,
  /** Of the stem; default 2, as in the paper; 1 is for small images. */
  strides: z.int().positive().default(2),
});

/** Options of {@link mobilenet}. */
export type MobilenetOptions = z.input<typeof options>;

/**
 * MobileNet v1 (Howard et al. 2017, arXiv 1704.04861): blocks of a depthwise 3×3 and a 1×1 convolution,
 * each with batch normalization and ReLU. `stage1` to `stage5` are the outputs of the last block of each
 * resolution. Takes `image` `[batch, height, width, channels]`, gives `logits` `[batch, classes]`.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * const model = mobilenet({ width: 0.25, strides: 1 });
 */
export function mobilenet(given: MobilenetOptions = {}): LayersModel {
  const { shape, classes, width, strides } = parseOptions('mobilenet', options, given);
  const input = imageInput(shape);
  const stem = convolutionUnit(input, 'stem', { filters: scaled(32, width), strides });
  const stages = STAGES.map(([filters, blocks]) => [scaled(filters, width), blocks] as const);
  return pooledClassifier(input, stacked(stem, stages, separableBlock), classes);
}

function separableBlock(
  x: SymbolicTensor,
  name: string,
  filters: number,
  strides: number,
): SymbolicTensor {
  const depthwise = tfl.layers.depthwiseConv2d({
    name: `${name}_depthwise_conv`,
    kernelSize: 3,
    strides,
    padding: 'same',
    useBias: false,
    depthwiseInitializer: heDepthwise(),
  });
  const normed = normalization(depthwise.apply(x) as SymbolicTensor, `${name}_depthwise_norm`);
  const filtered = rectifier(normed, `${name}_depthwise_relu`);
  const mixed = normalizedConvolution(filtered, `${name}_pointwise`, { filters, kernelSize: 1 });
  return rectifier(mixed, name);
}

/** Each output of a depthwise kernel has one input channel: its fan-in is what tfjs takes for fan-out. */
function heDepthwise() {
  return tfl.initializers.varianceScaling({ scale: 2, mode: 'fanOut', distribution: 'normal' });
}
