import * as tf from '@tensorflow/tfjs-core';
import type { Uninstall } from './gradients/index.js';

type Method = (x: tf.Tensor, ...args: never[]) => tf.Tensor;

/**
 * The methods of tensors that tfjs-layers calls although only the union package defines them: for the
 * orthogonal initializer, the default of every recurrent layer, and for the metric `r2Score`.
 */
const methods: Readonly<Record<string, Method>> = {
  div: tf.div,
  flatten: (x) => tf.reshape(x, [x.size]),
  mean: tf.mean,
  reshape: tf.reshape,
  sign: tf.sign,
  square: tf.square,
  stridedSlice: tf.stridedSlice,
  sub: tf.sub,
  sum: tf.sum,
  transpose: tf.transpose,
};

type Installed = Readonly<{ name: string; method: unknown }>;
let installation: { users: number; readonly installed: readonly Installed[] } | undefined;

function install(): Installed[] {
  const absent = Object.entries(methods).filter(([name]) => !(name in tf.Tensor.prototype));
  return absent.map(([name, compute]) => {
    function method(this: tf.Tensor, ...args: never[]): tf.Tensor {
      return compute(this, ...args);
    }
    // Writable, so that the union package may bring its own.
    Object.defineProperty(tf.Tensor.prototype, name, {
      value: method,
      configurable: true,
      writable: true,
    });
    return { name, method };
  });
}

/** Leaves a method that something else has put in the place of this one. */
function remove({ name, method }: Installed): void {
  if (Reflect.get(tf.Tensor.prototype, name) === method) {
    Reflect.deleteProperty(tf.Tensor.prototype, name);
  }
}

/**
 * Gives tensors the ten methods without which layers of tfjs-layers fail unless the union package
 * `@tensorflow/tfjs` is loaded: "rMat.flatten is not a function", from every recurrent layer with its
 * default initializer (https://github.com/tensorflow/tfjs/issues/7721). Methods that are there already stay. Repeated calls share one installation; it
 * is undone when each caller has called the function that it got.
 *
 * @example
 * const uninstall = installTensorMethods();
 * tfl.layers.lstm({ units: 8 }).apply(tf.zeros([1, 5, 3]));
 * uninstall();
 */
export function installTensorMethods(): Uninstall {
  installation ??= { users: 0, installed: install() };
  installation.users += 1;
  let released = false;
  return () => {
    if (released || !installation) return;
    released = true;
    installation.users -= 1;
    if (installation.users > 0) return;
    installation.installed.forEach(remove);
    installation = undefined;
  };
}
