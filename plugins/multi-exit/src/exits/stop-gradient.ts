import { stopGradient } from '@espalier/core';
import type { HasPlainLayer, PlainLayer } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { Shape } from '@tensorflow/tfjs-layers';

/**
 * A layer that passes its input on and lets no gradient back: what is behind it trains alone.
 * Importing this package registers the class, which loading a model that holds the layer needs.
 *
 * @example
 * const frozenView = new StopGradient({ name: 'exit_1_detach' }).apply(features);
 */
export class StopGradient extends tfl.layers.Layer implements HasPlainLayer {
  static readonly className = 'StopGradient';

  /** For inference there is nothing to stop. */
  plainLayer(): PlainLayer {
    const config = { ...this.getConfig(), activation: 'linear' };
    return { className: 'Activation', config, weights: {} };
  }

  override computeOutputShape(inputShape: Shape): Shape {
    return inputShape;
  }

  /** It multiplies nothing. */
  macs(): number {
    return 0;
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    return tf.tidy(() => stopGradient(Array.isArray(inputs) ? inputs[0]! : inputs));
  }
}
tf.serialization.registerClass(StopGradient);
