import * as tf from '@tensorflow/tfjs-core';
import { refuseForeignOptimizer } from './foreign-optimizer.js';
import type { GradientTransform } from './transform.js';

/**
 * Runs any TensorFlow.js optimizer as a transform. For those of tf.train use `tfjs.adam()` and its like,
 * which give the same bits and can be resumed. It makes one optimizer per path, because tfjs finds state
 * by position, and a missing gradient would move another's momentum. Limits: the state lives in the optimizers
 * and in a shadow variable per path, so `update` is not pure and a checkpoint cannot resume it (`resumable`
 * is false); the learning rate is fixed (chain `scale`); updates are rounded differences. `init` and
 * `dispose` free the state.
 *
 * @example
 * chain(fromTfOptimizer(() => new Mine(1)), scale(0.1));
 */
export function fromTfOptimizer(
  factory: () => tf.Optimizer,
): GradientTransform & { dispose(): void } {
  const shadows = new Map<string, ReturnType<typeof shadow>>();
  const dispose = (): void => {
    shadows.forEach(({ optimizer, variable, held }) => {
      optimizer.dispose();
      tf.dispose([variable, held]);
    });
    shadows.clear();
  };
  return {
    name: 'tfOptimizer',
    resumable: false,
    dispose,
    init: () => (dispose(), {}),
    update(grads, _state, params) {
      const updates: Record<string, tf.Tensor> = {};
      for (const [path, grad] of Object.entries(grads)) {
        const param = params[path] as tf.Tensor;
        const known = shadows.get(path) ?? shadow(factory(), param);
        shadows.set(path, known);
        known.variable.assign(param);
        known.optimizer.applyGradients({ [known.variable.name]: grad });
        updates[path] = tf.sub(known.variable, param);
      }
      return { updates, state: {} };
    },
  };
}

function shadow(optimizer: tf.Optimizer, param: tf.Tensor) {
  refuseForeignOptimizer(optimizer);
  // Constants in tensors: the caller's tidy would free them, and some dispose() forgets them.
  const isConstant = (own: unknown): own is tf.Tensor =>
    own instanceof tf.Tensor && !(own instanceof tf.Variable);
  const held = Object.values(optimizer)
    .filter(isConstant)
    .map((own) => tf.keep(own));
  return { optimizer, variable: tf.variable(param, false), held };
}
