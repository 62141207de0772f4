import * as tf from '@tensorflow/tfjs-core';
import { spread, stream } from '../gradients/differences.js';
import type { LayerCase } from './table.js';

/** What a step has done. */
export interface Trained {
  /** How many variables there were to train. */
  readonly trained: number;
  readonly gradients: tf.Tensor[];
  readonly after: tf.Variable[];
}

function inputsOf({ inputs, classes }: LayerCase): tf.Tensor[] {
  const next = stream(5);
  return inputs.map((shape) => {
    const values = spread(tf.util.sizeFromShape(shape), classes ? 0 : -1, classes ?? 1, next);
    return tf.tensor(classes ? values.map(Math.floor) : values, shape);
  });
}

/** One step of gradient descent for the layer, a factor in front of it and one behind. */
export function trainOnce(one: LayerCase): Trained {
  const layer = one.make();
  const before = tf.variable(tf.scalar(1.25));
  const behind = tf.variable(tf.scalar(0.75));
  const xs = inputsOf(one);
  const loss = () => {
    const scaled = one.atInput ? xs : xs.map((x) => tf.mul(x, before));
    const y = layer.apply(scaled.length > 1 ? scaled : scaled[0]!, { training: true });
    return tf.mean(tf.square(tf.add(tf.mul(y as tf.Tensor, behind), 0.3))) as tf.Scalar;
  };
  tf.tidy(() => void loss());
  const weights = layer.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const after = [...(one.atInput ? [] : [before]), behind, ...weights];
  const { grads } = tf.variableGrads(loss, after);
  tf.train.sgd(0.01).applyGradients(grads);
  return { trained: after.length, gradients: Object.values(grads), after };
}

/** The values that training has spoilt. */
export const notFinite = (tensors: readonly tf.Tensor[]) =>
  tensors.flatMap((tensor) => [...tensor.dataSync()]).filter((value) => !Number.isFinite(value));
