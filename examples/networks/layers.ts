/** What the networks of this folder are made of; feature maps are `[batch, height, width, channels]`. */
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import * as z from 'zod';

/** Options that every network has. */
export const networkOptions = z.strictObject({
  /** Height, width and channels of an image; default 32×32×3. */
  shape: z.array(z.int().positive()).length(3).default([32, 32, 3]),
  /** Number of logits; default 10. */
  classes: z.int().min(2).default(10),
});

/** A factor for the channels of a network; default 1. */
export const widthOption = z.number().positive().default(1);

/** A depth that gives each stage as many blocks as the others: `perBlock · n + more`, n ≥ 1. */
export function depthOption(perBlock: number, more: number) {
  return z
    .int()
    .refine(
      (depth) => depth > more && (depth - more) % perBlock === 0,
      `must be ${perBlock}n + ${more} with n of at least 1`,
    );
}

/** `filters` times `width`, rounded, at least 1. */
export function scaled(filters: number, width: number): number {
  return Math.max(1, Math.round(filters * width));
}

/** A block of a stage, whose output has `filters` channels. */
export type Block = (
  x: SymbolicTensor,
  name: string,
  filters: number,
  strides: number,
) => SymbolicTensor;

/**
 * Stages of `blocks` blocks each; all stages but the first halve height and width. The last block of a
 * stage bears its name, `stage1` and so on, since the stage ends with it.
 */
export function stacked(
  x: SymbolicTensor,
  stages: readonly (readonly [filters: number, blocks: number])[],
  block: Block,
): SymbolicTensor {
  let features = x;
  for (const [i, [filters, blocks]] of stages.entries()) {
    const stage = `stage${i + 1}`;
    for (let each = 1; each <= blocks; each++) {
      const name = each === blocks ? stage : `${stage}_block${each}`;
      features = block(features, name, filters, i > 0 && each === 1 ? 2 : 1);
    }
  }
  return features;
}

export function imageInput(shape: readonly number[]): SymbolicTensor {
  return tfl.input({ shape: [...shape], name: 'image' });
}

/** Shape of a convolution; default 3×3 with stride 1. */
export interface ConvolutionShape {
  readonly filters: number;
  readonly kernelSize?: number;
  readonly strides?: number;
}

/** Without bias, which the normalization that follows would take away; He initialisation. */
export function convolution(
  x: SymbolicTensor,
  name: string,
  { filters, kernelSize = 3, strides = 1 }: ConvolutionShape,
): SymbolicTensor {
  const layer = tfl.layers.conv2d({
    name,
    filters,
    kernelSize,
    strides,
    padding: 'same',
    useBias: false,
    kernelInitializer: 'heNormal',
  });
  return layer.apply(x) as SymbolicTensor;
}

/** Batch normalization with PyTorch's momentum: tfjs's 0.99 needs hundreds of steps to settle. */
export function normalization(x: SymbolicTensor, name: string): SymbolicTensor {
  return tfl.layers.batchNormalization({ name, momentum: 0.9 }).apply(x) as SymbolicTensor;
}

export function rectifier(x: SymbolicTensor, name: string): SymbolicTensor {
  return tfl.layers.reLU({ name }).apply(x) as SymbolicTensor;
}

/** `<name>_conv` and `<name>_norm`. */
export function normalizedConvolution(
  x: SymbolicTensor,
  name: string,
  shape: ConvolutionShape,
): SymbolicTensor {
  return normalization(convolution(x, `${name}_conv`, shape), `${name}_norm`);
}

/** `<name>_conv`, `<name>_norm` and `<name>_relu`. */
export function convolutionUnit(
  x: SymbolicTensor,
  name: string,
  shape: ConvolutionShape,
): SymbolicTensor {
  return rectifier(normalizedConvolution(x, name, shape), `${name}_relu`);
}

/** Pre-activation: `<name>_norm` and `<name>_relu`, then `<name>_conv`. */
export function preactivatedUnit(
  x: SymbolicTensor,
  name: string,
  shape: ConvolutionShape,
): SymbolicTensor {
  const active = rectifier(normalization(x, `${name}_norm`), `${name}_relu`);
  return convolution(active, `${name}_conv`, shape);
}

/** `<stage>_norm` and the ReLU `<stage>`: so exits take activations, not sums or concatenations. */
export function stageEnd(x: SymbolicTensor, stage: string): SymbolicTensor {
  return rectifier(normalization(x, `${stage}_norm`), stage);
}

/** The mean over all positions, and `logits`. */
export function pooledClassifier(
  input: SymbolicTensor,
  features: SymbolicTensor,
  classes: number,
): LayersModel {
  const pooled = tfl.layers.globalAveragePooling2d({ name: 'pool' }).apply(features);
  return classifier(input, pooled as SymbolicTensor, classes);
}

/** `logits` of a vector of features. */
export function classifier(
  input: SymbolicTensor,
  features: SymbolicTensor,
  classes: number,
): LayersModel {
  const logits = tfl.layers.dense({ name: 'logits', units: classes }).apply(features);
  return tfl.model({ inputs: input, outputs: logits as SymbolicTensor });
}
