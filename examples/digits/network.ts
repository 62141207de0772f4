import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';

/** Options of {@link residualNetwork}. */
export interface ResidualNetworkOptions {
  /** Channels of the first stage; default 16. */
  readonly filters?: number;
  /** Of the stem: 1 keeps 28×28 positions (as on CIFAR), 2 (default) costs a quarter of that. */
  readonly strides?: number;
}

/**
 * A small residual network for 28×28 images (ResNet-8, He et al. 2016): a stem and `stage1` to `stage3`
 * of one basic block each, with 1, 2 and 4 times `filters` channels; global average pooling; 10 logits.
 */
export function residualNetwork({
  filters = 16,
  strides = 2,
}: ResidualNetworkOptions = {}): LayersModel {
  const input = tfl.input({ shape: [28, 28, 1], name: 'image' });
  let features = unit(input, 'stem', filters, strides);
  features = block(features, 'stage1', filters, 1);
  features = block(features, 'stage2', 2 * filters, 2);
  features = block(features, 'stage3', 4 * filters, 2);
  const pooled = tfl.layers.globalAveragePooling2d({ name: 'pool' }).apply(features);
  const logits = tfl.layers.dense({ name: 'logits', units: 10 }).apply(pooled) as SymbolicTensor;
  return tfl.model({ inputs: input, outputs: logits });
}

function block(x: SymbolicTensor, name: string, filters: number, strides: number): SymbolicTensor {
  const first = unit(x, `${name}_a`, filters, strides);
  const second = unit(first, `${name}_b`, filters, 1, false);
  const same = strides === 1 && x.shape[3] === filters;
  const shortcut = same ? x : unit(x, `${name}_shortcut`, filters, strides, false, 1);
  const sum = tfl.layers.add({ name: `${name}_add` }).apply([second, shortcut]);
  return tfl.layers.reLU({ name }).apply(sum) as SymbolicTensor;
}

function unit(
  x: SymbolicTensor,
  name: string,
  filters: number,
  strides: number,
  relu = true,
  kernelSize = 3,
): SymbolicTensor {
  const conv = tfl.layers.conv2d({
    name: `${name}_conv`,
    filters,
    kernelSize,
    strides,
    padding: 'same',
    useBias: false,
    kernelInitializer: 'heNormal',
  });
  const norm = tfl.layers.batchNormalization({ name: `${name}_norm`, momentum: 0.9 });
  const normed = norm.apply(conv.apply(x)) as SymbolicTensor;
  return relu
    ? (tfl.layers.reLU({ name: `${name}_relu` }).apply(normed) as SymbolicTensor)
    : normed;
}
