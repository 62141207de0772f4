import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Loss } from './loss.js';
import { parseFrom } from './options.js';
import type { CrossEntropyOptions } from './options.js';
import { clipProbabilities, meanPerExample } from './reduce.js';

/**
 * Sigmoid cross-entropy, element by element, with targets from 0 to 1; metric `accuracy` at
 * probability ½. From probabilities it is what tfjs's `binaryCrossentropy` computes.
 *
 * @throws EspalierError `options/invalid`; in a session `loss/from`, `loss/head`.
 * @example
 * await createSession({ model, losses: { logits: binaryCrossEntropy() }, … });
 */
export function binaryCrossEntropy(options: CrossEntropyOptions = {}): Loss {
  const from = parseFrom('binaryCrossEntropy', options);
  const [perElement, threshold] =
    from === 'probabilities' ? ([fromProbabilities, 0.5] as const) : ([fromLogits, 0] as const);
  return {
    name: 'binary-cross-entropy',
    classIds: false,
    targets: 'probabilities',
    activation: 'sigmoid',
    ...(from && { from }),
    readAs: (kind) => binaryCrossEntropy({ from: kind }),
    weighsSteps: true,
    perExample: (output, target, steps) =>
      meanPerExample(perElement(output, tf.cast(target, 'float32')), steps),
    metrics(output, target, steps) {
      const hit = tf.equal(tf.greater(output, threshold), tf.greater(target, 0.5));
      return { accuracy: meanPerExample(tf.cast(hit, 'float32'), steps) };
    },
  };
}

function fromLogits(logits: Tensor, target: Tensor): Tensor {
  return tf.sub(tf.softplus(logits), tf.mul(target, logits));
}

/** In tfjs's order of operations, which is that in which gradients are summed. */
function fromProbabilities(output: Tensor, target: Tensor): Tensor {
  const p = clipProbabilities(output);
  const logits = tf.log(tf.div(p, tf.sub(1, p)));
  const [positive, distance] = [tf.relu(logits), tf.neg(tf.abs(logits))];
  const linear = tf.sub(positive, tf.mul(logits, target));
  return tf.add(linear, tf.log1p(tf.exp(distance)));
}
