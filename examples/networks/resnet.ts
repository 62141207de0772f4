import { parseOptions } from '@espalier/core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import * as z from 'zod';
import {
  convolutionUnit,
  depthOption,
  imageInput,
  networkOptions,
  normalizedConvolution,
  pooledClassifier,
  rectifier,
  scaled,
  stacked,
  widthOption,
} from './layers.js';

const options = networkOptions.extend({
  /** 6n + 2: three stages of n blocks of two convolutions; default 20. */
  depth: depthOption(6, 2).default(20),
  /** Times 16, 32 and 64 channels. */
  width: widthOption,
  /** Of the stem; 2 makes all maps half as high and wide. */
  strides: z.int().positive().default(1),
});

/** Options of {@link resnet}. */
export type ResnetOptions = z.input<typeof options>;

/**
 * A residual network as for CIFAR (He et al. 2016, arXiv 1512.03385, section 4.2): `stem`, and `stage1`
 * to `stage3`, each the output of its last block. Takes `image` `[batch, height, width, channels]`,
 * gives `logits` `[batch, classes]`. Where the number of channels changes, the shortcut is a 1×1
 * convolution (the paper's option B; its CIFAR networks pad with zeros, which has no parameters).
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * const model = resnet({ depth: 56, classes: 100 });
 */
export function resnet(given: ResnetOptions = {}): LayersModel {
  const { shape, classes, depth, width, strides } = parseOptions('resnet', options, given);
  const input = imageInput(shape);
  const stem = convolutionUnit(input, 'stem', { filters: scaled(16, width), strides });
  const stages = [16, 32, 64].map((filters) => [scaled(filters, width), (depth - 2) / 6] as const);
  return pooledClassifier(input, stacked(stem, stages, basicBlock), classes);
}

function basicBlock(
  x: SymbolicTensor,
  name: string,
  filters: number,
  strides: number,
): SymbolicTensor {
  const first = convolutionUnit(x, `${name}_a`, { filters, strides });
  const second = normalizedConvolution(first, `${name}_b`, { filters });
  const same = strides === 1 && x.shape[3] === filters;
  const projection = { filters, strides, kernelSize: 1 };
  const shortcut = same ? x : normalizedConvolution(x, `${name}_shortcut`, projection);
  const sum = tfl.layers.add({ name: `${name}_add` }).apply([second, shortcut]);
  return rectifier(sum as SymbolicTensor, name);
}
