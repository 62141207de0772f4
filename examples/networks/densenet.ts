import { parseOptions } from '@espalier/core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import * as z from 'zod';
import {
  convolution,
  depthOption,
  imageInput,
  networkOptions,
  pooledClassifier,
  preactivatedUnit,
  stageEnd,
} from './layers.js';

const options = networkOptions.extend({
  /** 6n + 4: three stages of n layers of two convolutions; default 40. */
  depth: depthOption(6, 4).default(40),
  /** Channels that each layer adds, the paper's k; default 12. */
  growth: z.int().positive().default(12),
  /** Share of the channels that pass from stage to stage, the paper's θ; default 0.5. */
  compression: z.number().gt(0).max(1).default(0.5),
});

/** Options of {@link densenet}. */
export type DensenetOptions = z.input<typeof options>;

/**
 * DenseNet-BC as for CIFAR (Huang et al. 2017, arXiv 1608.06993): each layer takes all maps of its stage
 * before it, side by side. `stage1` to `stage3` are the activations of all maps of a stage: the
 * paper's transition, or the head, begins with them. Takes `image` `[batch, height, width, channels]`,
 * gives `logits` `[batch, classes]`.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * const model = densenet({ depth: 100, growth: 12 });
 */
export function densenet(given: DensenetOptions = {}): LayersModel {
  const { shape, classes, depth, growth, compression } = parseOptions('densenet', options, given);
  const input = imageInput(shape);
  let features = convolution(input, 'stem_conv', { filters: 2 * growth });
  for (const stage of [1, 2, 3]) {
    if (stage > 1) features = transition(features, `transition${stage - 1}`, compression);
    for (let layer = 1; layer <= (depth - 4) / 6; layer++) {
      features = denseLayer(features, `stage${stage}_layer${layer}`, growth);
    }
    features = stageEnd(features, `stage${stage}`);
  }
  return pooledClassifier(input, features, classes);
}

/** A bottleneck of four times `growth` channels, and `growth` new channels beside the old ones. */
function denseLayer(x: SymbolicTensor, name: string, growth: number): SymbolicTensor {
  const narrow = preactivatedUnit(x, `${name}_a`, { filters: 4 * growth, kernelSize: 1 });
  const added = preactivatedUnit(narrow, `${name}_b`, { filters: growth });
  return tfl.layers.concatenate({ name: `${name}_concat` }).apply([x, added]) as SymbolicTensor;
}

function transition(x: SymbolicTensor, name: string, compression: number): SymbolicTensor {
  const filters = Math.max(1, Math.floor(x.shape[3]! * compression));
  const narrow = convolution(x, `${name}_conv`, { filters, kernelSize: 1 });
  const pool = tfl.layers.averagePooling2d({ name: `${name}_pool`, poolSize: 2, strides: 2 });
  return pool.apply(narrow) as SymbolicTensor;
}
