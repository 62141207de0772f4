import { parseOptions } from '@espalier/core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import type * as z from 'zod';
import {
  convolution,
  depthOption,
  imageInput,
  networkOptions,
  pooledClassifier,
  preactivatedUnit,
  scaled,
  stageEnd,
  widthOption,
} from './layers.js';

const options = networkOptions.extend({
  /** 6n + 4: three stages of n blocks of two convolutions; default 16. */
  depth: depthOption(6, 4).default(16),
  /** The k of WRN-d-k: times 16, 32 and 64 channels; the stem keeps 16. */
  width: widthOption,
});

/** Options of {@link wideResnet}. */
export type WideResnetOptions = z.input<typeof options>;

/**
 * A wide residual network, WRN-d-k (Zagoruyko & Komodakis 2016, arXiv 1605.07146), without dropout:
 * blocks of batch normalization, ReLU and convolution, in this order. `stage1` to `stage3` are the
 * activations of what a stage sums up: the paper's next stage, or the head, begins with them. Takes
 * `image` `[batch, height, width, channels]`, gives `logits` `[batch, classes]`.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * const model = wideResnet({ depth: 16, width: 4 });
 */
export function wideResnet(given: WideResnetOptions = {}): LayersModel {
  const { shape, classes, depth, width } = parseOptions('wideResnet', options, given);
  const input = imageInput(shape);
  let features = convolution(input, 'stem_conv', { filters: 16 });
  let active = stageEnd(features, 'stem');
  for (const [i, filters] of [16, 32, 64].entries()) {
    const stage = `stage${i + 1}`;
    const channels = { filters: scaled(filters, width) };
    features = firstBlock(features, active, stage, { ...channels, strides: i === 0 ? 1 : 2 });
    for (let block = 2; block <= (depth - 4) / 6; block++) {
      const name = `${stage}_block${block}`;
      const first = preactivatedUnit(features, `${name}_a`, channels);
      features = sum(preactivatedUnit(first, `${name}_b`, channels), features, name);
    }
    active = stageEnd(features, stage);
  }
  return pooledClassifier(input, active, classes);
}

/** Takes what its stage begins with, and the activations of that, which both of its ways share. */
function firstBlock(
  x: SymbolicTensor,
  active: SymbolicTensor,
  stage: string,
  { filters, strides }: { filters: number; strides: number },
): SymbolicTensor {
  const name = `${stage}_block1`;
  const first = convolution(active, `${name}_a_conv`, { filters, strides });
  const second = preactivatedUnit(first, `${name}_b`, { filters });
  const same = strides === 1 && x.shape[3] === filters;
  const projection = { filters, strides, kernelSize: 1 };
  return sum(second, same ? x : convolution(active, `${name}_shortcut_conv`, projection), name);
}

function sum(x: SymbolicTensor, shortcut: SymbolicTensor, name: string): SymbolicTensor {
  return tfl.layers.add({ name: `${name}_add` }).apply([x, shortcut]) as SymbolicTensor;
}
