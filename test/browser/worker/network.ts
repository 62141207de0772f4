import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/** A classifier of two classes, compiled as existing code does it; the same numbers in every call. */
export function compileTiny(): tfl.LayersModel {
  const dense = (name: string, units: number, activation: 'relu' | 'softmax', seed: number) =>
    tfl.layers.dense({
      name,
      units,
      activation,
      kernelInitializer: tfl.initializers.glorotUniform({ seed }),
    });
  const input = tfl.layers.inputLayer({ inputShape: [2] });
  const hidden = [dense('first', 8, 'relu', 1), dense('second', 8, 'relu', 2)];
  const model = tfl.sequential({ layers: [input, ...hidden, dense('classes', 2, 'softmax', 3)] });
  model.compile({
    optimizer: tf.train.sgd(0.1),
    loss: 'categoricalCrossentropy',
    metrics: ['accuracy'],
  });
  return model;
}

/** Points on both sides of a line. */
export function makePoints() {
  const side = Array.from({ length: 32 }, (_, i) => i % 2);
  const x = side.map((s, i) => [(i % 7) / 7 + 2 * s - 1, (i % 5) / 5]);
  return { x: tf.tensor2d(x), y: tf.tensor2d(side.map((s) => [1 - s, s])) };
}

/** What a model says of one point. */
export function predictOne(model: tfl.LayersModel): number[] {
  return tf.tidy(() => [...(model.predict(tf.tensor2d([[0.3, 0.4]])) as tf.Tensor).dataSync()]);
}
