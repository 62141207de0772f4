import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type { Loss } from './loss.js';
import { parseFrom } from './options.js';
import type { CrossEntropyOptions } from './options.js';
import { clipProbabilities, meanPerExample } from './reduce.js';

/**
 * Softmax cross-entropy with class ids `[batch, …]` or distributions `[batch, …, classes]`; metric
 * `accuracy`. Twice differentiable, unlike `tf.losses.softmaxCrossEntropy`. From probabilities it is what
 * tfjs's `categoricalCrossentropy` (class ids: `sparseCategoricalCrossentropy`) computes.
 *
 * @throws EspalierError `options/invalid`; in a session `loss/from`, `loss/head`, `loss/one-unit`.
 * @example
 * await createSession({ model, losses: { logits: crossEntropy() }, … });
 */
export function crossEntropy(options: CrossEntropyOptions = {}): Loss {
  const from = parseFrom('crossEntropy', options);
  return {
    name: 'cross-entropy',
    classIds: true,
    targets: 'distributions',
    activation: 'softmax',
    ...(from && { from }),
    readAs: (kind) => crossEntropy({ from: kind }),
    weighsSteps: true,
    perExample(output, target, steps) {
      const q = toDistribution(target, output);
      const ids = q !== target;
      const logP = from === 'probabilities' ? logProbabilities(output, ids) : tf.logSoftmax(output);
      return meanPerExample(tf.neg(tf.sum(tf.mul(q, logP), -1)), steps);
    },
    metrics: (output, target, steps) => ({ accuracy: accuracy(output, target, steps) }),
  };
}

/** Log-probabilities; with class ids tfjs clips also before it normalizes. */
function logProbabilities(probabilities: Tensor, ids: boolean): Tensor {
  const given = ids ? clipProbabilities(probabilities) : probabilities;
  return tf.log(clipProbabilities(tf.div(given, tf.sum(given, -1, true))));
}

/**
 * Targets as distributions `[batch, …, classes]`: class ids become one-hot, distributions pass
 * through. `output` is the output that they are for, or its shape as in
 * `ctx.model.outputShapes[name]`. For `targets` and `batch` taps that soften or mix labels.
 *
 * @example
 * toDistribution(tf.tensor1d([2], 'int32'), [null, 3]); // [[0, 0, 1]]
 */
export function toDistribution(
  target: Tensor,
  output: Tensor | readonly (number | null)[],
): Tensor {
  const shape = output instanceof tf.Tensor ? output.shape : output;
  if (target.rank === shape.length) return target;
  const ids = target.dtype === 'int32' ? target : tf.cast(target, 'int32');
  // Not oneHot(…, 'float32'): the wasm kernel writes integers into that float tensor.
  return tf.cast(tf.oneHot(ids as Tensor1D, shape[shape.length - 1]!), 'float32');
}

/**
 * 1 where the largest output is the target's class, else 0; `[batch]`, over time steps the mean, by `steps`
 * `[batch, time]` where it is given.
 *
 * @example
 * const mean = tf.mean(accuracy(outputs['logits']!, targets['logits']!));
 */
export function accuracy(output: Tensor, target: Tensor, steps?: Tensor): Tensor1D {
  const wanted = target.rank === output.rank ? tf.argMax(target, -1) : tf.cast(target, 'int32');
  return meanPerExample(tf.cast(tf.equal(tf.argMax(output, -1), wanted), 'float32'), steps);
}
