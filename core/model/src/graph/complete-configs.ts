import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers'; // registers its classes
import type { Layer } from '../weights/parameters.js';

type Config = Record<string, unknown>;

/** What `getConfig` of a class of tfjs-layers 4.22 leaves out, or writes from the wrong field. */
const COMPLETIONS: Readonly<Record<string, (layer: Config) => Config>> = {
  Conv1D: ({ dataFormat }) => ({ dataFormat }),
  SeparableConv2D: ({ depthMultiplier }) => ({ depthMultiplier }),
  // It writes the regularizer as the constraint.
  DepthwiseConv2D: ({ depthwiseConstraint }) => ({
    depthwiseConstraint: serialize(depthwiseConstraint as tf.serialization.Serializable | null),
  }),
  AlphaDropout: ({ noiseShape }) => (noiseShape === undefined ? {} : { noiseShape }),
};

function serialize(part: tf.serialization.Serializable | null) {
  return part && { className: part.getClassName(), config: part.getConfig() };
}

/**
 * Completes `getConfig` on the classes themselves, once: so it holds for layers inside of wrappers,
 * for classes derived from them, and for what plain tfjs saves of an exported model.
 */
function completeConfigs(): void {
  const { classNameMap } = tf.serialization.SerializationMap.getMap();
  for (const [className, completion] of Object.entries(COMPLETIONS)) {
    const prototype = classNameMap[className]![0].prototype as unknown as Layer;
    const { getConfig } = prototype;
    prototype.getConfig = function () {
      return { ...getConfig.call(this), ...(completion(this as never) as object) };
    };
  }
}

completeConfigs();
