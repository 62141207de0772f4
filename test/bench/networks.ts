import { keyedRng } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';

/** 784-256-10, relu: the MLP of the figures, batch 128. */
export function mlp(): LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.dense({ name: 'hidden', units: 256, activation: 'relu', inputShape: [784] }),
      tfl.layers.dense({ name: 'logits', units: 10 }),
    ],
  });
}

/** A batch of seeded noise with labels. */
export function noise(shape: readonly number[], classes: number): { x: tf.Tensor; y: tf.Tensor1D } {
  const draw = keyedRng(0, 'bench');
  const size = shape.reduce((a, b) => a * b, 1);
  const x = tf.tensor(Float32Array.from({ length: size }, draw), [...shape]);
  const y = Int32Array.from({ length: shape[0]! }, () => Math.floor(draw() * classes));
  return { x, y: tf.tensor1d(y, 'int32') };
}
