import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';

const { layers } = tfl;

/** Numbers without a pattern. */
const wave = (i: number): number => Math.sin(12.9898 * (i + 1));

/** A tensor of waves. */
export function waves(shape: number[], shift = 0): tf.Tensor {
  const size = tf.util.sizeFromShape(shape);
  return tf.tensor(
    Float32Array.from({ length: size }, (_, i) => wave(i + shift)),
    shape,
  );
}

/** One-hot labels of three classes that depend on the examples. */
export function labels(examples: number): tf.Tensor {
  const ids = Int32Array.from({ length: examples }, (_, i) => (i * 7 + (i >> 1)) % 3);
  return tf.tidy(() => tf.cast(tf.oneHot(tf.tensor1d(ids, 'int32'), 3), 'float32'));
}

/** The same weights in every build. */
export function fill(model: LayersModel): LayersModel {
  model.setWeights(
    model.weights.map((weight, k) =>
      weight.originalName.includes('variance')
        ? tf.ones(weight.shape as number[])
        : tf.mul(0.3, waves(weight.shape as number[], 17 * k)),
    ),
  );
  return model;
}

/** A classifier that ends in a softmax, with batch normalization. */
export function classifier(): LayersModel {
  return fill(
    tfl.sequential({
      layers: [
        layers.dense({ units: 6, activation: 'relu', inputShape: [4], name: 'hidden' }),
        layers.batchNormalization({ name: 'norm' }),
        layers.dense({ units: 5, activation: 'relu', name: 'second' }),
        layers.dense({ units: 3, activation: 'softmax', name: 'head' }),
      ],
    }),
  );
}

/** Two outputs on one trunk: classes and a number. */
export function twoOutputs(): LayersModel {
  const input = tfl.input({ shape: [4] });
  const hidden = layers.dense({ units: 6, activation: 'tanh' }).apply(input);
  const kind = layers.dense({ units: 3, activation: 'softmax', name: 'kind' }).apply(hidden);
  const size = layers.dense({ units: 1, name: 'size' }).apply(hidden);
  return fill(tfl.model({ inputs: input, outputs: [kind, size] as SymbolicTensor[] }));
}

/** Values of all weights. */
export function read(model: LayersModel): number[] {
  return model.weights.flatMap((weight) => [...weight.read().dataSync()]);
}

/** A dataset as tfjs takes it, of these batches. */
export function datasetOf(make: () => readonly { xs: tf.Tensor; ys: tf.Tensor }[]) {
  return {
    iterator: () => {
      const batches = make();
      let at = 0;
      return Promise.resolve({
        next: () =>
          Promise.resolve(
            at < batches.length
              ? { value: batches[at++], done: false }
              : { value: null, done: true },
          ),
      });
    },
  } as never;
}
