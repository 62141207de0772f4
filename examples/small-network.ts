import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';

/** Three convolutions for 28×28 digits and 10 logits: a training step takes milliseconds. */
export function smallNetwork(): LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.inputLayer({ inputShape: [28, 28, 1], name: 'image' }),
      convolution('conv1', 8),
      convolution('conv2', 16),
      convolution('conv3', 32),
      tfl.layers.globalAveragePooling2d({ name: 'pool' }),
      tfl.layers.dense({ name: 'logits', units: 10 }),
    ],
  });
}

function convolution(name: string, filters: number) {
  return tfl.layers.conv2d({
    name,
    filters,
    kernelSize: 3,
    strides: 2,
    padding: 'same',
    activation: 'relu',
    kernelInitializer: 'heNormal',
  });
}
