import { EspalierError } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { CompiledModel } from './compiled-model.js';

type Standardize = CompiledModel['standardizeUserData'];

/** Lets `fit` take `sampleWeight` `[examples]`, which TensorFlow.js knows and refuses. */
export function addSampleWeights(standardize: Standardize): Standardize {
  return async (x, y, sampleWeight, ...rest) => {
    const given = checkSampleWeight(sampleWeight);
    const [inputs, targets, byClass] = await standardize(x, y, undefined, ...rest);
    if (!given) return [inputs, targets, byClass];
    checkLength(given, inputs[0]!);
    const weights = byClass
      ? byClass.map((weight) => weight && multiply(weight, given))
      : [tf.clone(given)];
    return [inputs, targets, weights];
  };
}

function multiply(weight: Tensor, given: Tensor): Tensor {
  const product = tf.mul(weight, given);
  weight.dispose();
  return product;
}

function checkSampleWeight(given: unknown): Tensor | undefined {
  if (given === undefined || given === null) return undefined;
  if (given instanceof tf.Tensor && given.rank === 1) return given;
  throw new EspalierError('attach/sample-weight', {
    problem: 'fit: sampleWeight must be a tensor [examples]',
    received: given,
    fix: 'Give each example one weight, for all outputs: tf.tensor1d(weights).',
  });
}

function checkLength(weights: Tensor, inputs: Tensor): void {
  if (weights.size === inputs.shape[0]) return;
  throw new EspalierError('attach/sample-weight', {
    problem: `fit: sampleWeight has ${weights.size} weights for ${inputs.shape[0]} examples`,
    received: weights.shape,
    fix: 'Give each example one weight.',
  });
}
