import type { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

type AddWeight = (
  name: string,
  shape: readonly (number | null)[],
  dtype: unknown,
  initializer: unknown,
  ...rest: unknown[]
) => unknown;

/** Where every layer makes its weights; protected in tfjs. */
const layers = tfl.layers.Layer.prototype as unknown as { addWeight: AddWeight };

/**
 * Builds a model whose weights get values from a file of `numbers` numbers. No initial values are drawn, and
 * layers that ask for more numbers than there are get none.
 *
 * @param build Makes all weights before it returns.
 * @throws what `tooMany` makes for the weight that is too much, and what `build` throws.
 */
export function withValuesOnly<T>(
  numbers: number,
  tooMany: (weight: string) => EspalierError,
  build: () => T,
): T {
  const { addWeight } = layers;
  let left = numbers;
  layers.addWeight = function (name, shape, dtype, _initializer, ...rest) {
    left -= shape.reduce<number>((size, n) => size * Number(n), 1);
    if (!(left >= 0)) throw tooMany(name);
    let weight: unknown;
    // What it starts from would stay where tfjs takes no such name.
    tf.tidy(() => {
      weight = addWeight.call(this, name, shape, dtype, tfl.initializers.zeros(), ...rest);
    });
    return weight;
  };
  try {
    return build();
  } finally {
    layers.addWeight = addWeight;
  }
}
