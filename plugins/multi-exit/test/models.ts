import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';

/** A residual network on 8×8×1: stem, two blocks with additions, pooled features, 3 logits. */
export function residualNet(): LayersModel {
  const input = tfl.input({ shape: [8, 8, 1], name: 'image' });
  let x = convolve(input, 'stem', 4);
  x = block(x, 'block_1', 4, 1);
  x = block(x, 'block_2', 8, 2);
  const pooled = tfl.layers.globalAveragePooling2d({ name: 'pool' }).apply(x);
  const logits = tfl.layers.dense({ name: 'logits', units: 3 }).apply(pooled) as SymbolicTensor;
  return tfl.model({ inputs: input, outputs: logits });
}

function block(x: SymbolicTensor, name: string, filters: number, strides: number): SymbolicTensor {
  const inner = convolve(x, `${name}_conv`, filters, strides);
  const shortcut = strides === 1 ? x : convolve(x, `${name}_shortcut`, filters, strides);
  const sum = tfl.layers.add({ name: `${name}_add` }).apply([inner, shortcut]);
  return tfl.layers.reLU({ name: `${name}_out` }).apply(sum) as SymbolicTensor;
}

function convolve(x: SymbolicTensor, name: string, filters: number, strides = 1): SymbolicTensor {
  const conv = tfl.layers.conv2d({ name, filters, strides, kernelSize: 3, padding: 'same' });
  return conv.apply(x) as SymbolicTensor;
}

/** Two 1-D convolutions on 8 steps of 2 channels, then 3 logits. */
export function sequenceNet(): LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.conv1d({ name: 'conv_1', filters: 4, kernelSize: 3, inputShape: [8, 2] }),
      tfl.layers.conv1d({ name: 'conv_2', filters: 6, kernelSize: 3, activation: 'relu' }),
      tfl.layers.globalAveragePooling1d({ name: 'pool' }),
      tfl.layers.dense({ name: 'logits', units: 3 }),
    ],
  });
}
