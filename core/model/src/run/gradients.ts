import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';

/** What a function gives to {@link valueAndGradients}: what is differentiated, and auxiliary values. */
export interface Forward {
  /** The scalar to differentiate. */
  readonly value: Scalar;
  /** Other results of the forward pass, returned as they are. */
  readonly aux: readonly Scalar[];
}

/**
 * A function's value, its auxiliary values, and the gradients by `xs` (undefined where the value
 * does not depend on one). The caller owns the tensors. Unlike `tf.grads` it leaves nothing behind
 * when the function throws: tfjs forgets what it saved for the backward pass.
 *
 * @throws EspalierError `model/frozen` where `xs` is empty; what `f` throws.
 * @example
 * const { value, gradients } = valueAndGradients(() => ({ value: loss(w), aux: [] }), [w]);
 */
export function valueAndGradients(f: () => Forward, xs: readonly Tensor[]) {
  if (xs.length === 0) {
    throw new EspalierError('model/frozen', {
      problem: 'there is nothing to train: the model has no trainable weight',
      fix: 'Set layer.trainable = true on some of its layers, and the next step follows; where createSession has the option trainable, let that name some.',
    });
  }
  const kept: Scalar[] = [];
  const forward = () => {
    const { value, aux } = f();
    kept.push(...aux.map((scalar) => tf.keep(tf.clone(scalar))));
    return tf.clone(value);
  };
  try {
    // The repaired engine would give zeros where stopGradient was used, and zeros decay weights.
    const absent = 'absent' as unknown as true;
    const { value, grads } = tf.engine().gradients(forward, [...xs], undefined, absent);
    const gradients: readonly (Tensor | undefined)[] = grads;
    return { value: value as Scalar, aux: kept.map(release), gradients };
  } catch (error) {
    tf.dispose(kept);
    forgetTape();
    throw error;
  }
}

/** Puts a kept tensor back under the care of the scope around it. */
function release<T extends Tensor>(kept: T): T {
  const copy = tf.clone(kept);
  kept.dispose();
  return copy;
}

/** Frees what is saved for a backward pass that will not come; within another one it is still needed. */
function forgetTape(): void {
  const { state } = tf.engine();
  if (state.gradientDepth > 0) return;
  state.activeTape?.forEach(({ saved }) => tf.dispose(saved ?? []));
  (state as { activeTape: unknown }).activeTape = null;
}
