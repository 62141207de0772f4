import { parseOptions } from '@espalier/core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import * as z from 'zod';
import {
  classifier,
  convolutionUnit,
  imageInput,
  networkOptions,
  pooledClassifier,
  scaled,
  widthOption,
} from './layers.js';

/** Convolutions of each stage: the paper's A, B, D and E, and VGG-8 of Tian et al. (2020). */
const STAGES: Readonly<Record<number, readonly number[]>> = {
  8: [1, 1, 1, 1, 1],
  11: [1, 1, 2, 2, 2],
  13: [2, 2, 2, 2, 2],
  16: [2, 2, 3, 3, 3],
  19: [2, 2, 4, 4, 4],
};

const options = networkOptions.extend({
  /** 8, 11, 13, 16 or 19, as the networks are called: three dense layers included; default 16. */
  depth: z.literal([8, 11, 13, 16, 19]).default(16),
  /** Times 64, 128, 256, 512 and 512 channels. */
  width: widthOption,
  /**
   * Units of dense layers before the logits, which then take the maps as they are; default none, after
   * the mean over positions, as is usual for small images. The paper has `[4096, 4096]`.
   */
  hidden: z.array(z.int().positive()).default([]),
});

/** Options of {@link vgg}. */
export type VggOptions = z.input<typeof options>;

/**
 * VGG with batch normalization (Simonyan & Zisserman 2015, arXiv 1409.1556), without dropout: `stage1` to
 * `stage5` are the poolings after one to four convolutions, each of which halves height and width.
 * Takes `image` `[batch, height, width, channels]`, gives `logits` `[batch, classes]`.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * const model = vgg({ depth: 8, width: 0.5 });
 */
export function vgg(given: VggOptions = {}): LayersModel {
  const { shape, classes, depth, width, hidden } = parseOptions('vgg', options, given);
  const input = imageInput(shape);
  let features = input;
  STAGES[depth]!.forEach((convolutions, i) => {
    const filters = scaled(Math.min(64 * 2 ** i, 512), width);
    features = stage(features, `stage${i + 1}`, convolutions, filters);
  });
  if (hidden.length === 0) return pooledClassifier(input, features, classes);
  return classifier(input, denseLayers(features, hidden), classes);
}

function stage(
  x: SymbolicTensor,
  name: string,
  convolutions: number,
  filters: number,
): SymbolicTensor {
  let features = x;
  for (let i = 1; i <= convolutions; i++) {
    features = convolutionUnit(features, `${name}_${i}`, { filters });
  }
  // Padded, so that images below 32×32 are not pooled away.
  const pool = tfl.layers.maxPooling2d({ name, poolSize: 2, strides: 2, padding: 'same' });
  return pool.apply(features) as SymbolicTensor;
}

function denseLayers(x: SymbolicTensor, hidden: readonly number[]): SymbolicTensor {
  const flat = tfl.layers.flatten({ name: 'flat' }).apply(x) as SymbolicTensor;
  return hidden.reduce((features, units, i) => {
    const name = `hidden${i + 1}`;
    const dense = { name, units, activation: 'relu', kernelInitializer: 'heNormal' } as const;
    return tfl.layers.dense(dense).apply(features) as SymbolicTensor;
  }, flat);
}
