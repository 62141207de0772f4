import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';

/** Words in, 5 logits out: an embedding, a hidden layer over every position, a softmax layer. */
export function wordModel(): LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.embedding({ name: 'words', inputDim: 40, outputDim: 8, inputLength: 6 }),
      tfl.layers.dense({ name: 'hidden', units: 12, activation: 'tanh' }),
      tfl.layers.flatten({ name: 'flat' }),
      tfl.layers.dense({ name: 'logits', units: 5 }),
    ],
  });
}

/** An image model with convolutions of every kind of option. */
export function imageModel(): LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.conv2d({
        name: 'conv',
        filters: 6,
        kernelSize: [3, 2],
        strides: 2,
        padding: 'same',
        activation: 'relu',
        inputShape: [8, 8, 3],
      }),
      tfl.layers.conv2d({
        name: 'wide',
        filters: 5,
        kernelSize: 2,
        dilationRate: 2,
        useBias: false,
      }),
      tfl.layers.globalAveragePooling2d({ name: 'pool' }),
      tfl.layers.dense({ name: 'logits', units: 3 }),
    ],
  });
}
