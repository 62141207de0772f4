import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/** Names of the layer classes of tfjs, cells apart, whose constructors match, inherited ones too. */
export function layerClasses(inConstructor: RegExp): string[] {
  const { classNameMap } = tf.serialization.SerializationMap.getMap();
  return Object.entries(classNameMap).flatMap(([name, [made]]) => {
    if (!(made.prototype instanceof tfl.layers.Layer) || name.endsWith('Cell')) return [];
    // tfjs ships functions; what other tests registered in this process are classes.
    if (!String(made).startsWith('function')) return [];
    return constructorsOf(made).some((text) => inConstructor.test(text)) ? [name] : [];
  });
}

function constructorsOf(made: unknown): string[] {
  if (made === tfl.layers.Layer) return [];
  return [String(made), ...constructorsOf(Object.getPrototypeOf(made))];
}
