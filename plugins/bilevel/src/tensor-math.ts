import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';

/** Each tensor changed, under its name. */
export function mapTensors(
  tensors: NamedTensors,
  change: (tensor: Tensor, name: string) => Tensor,
): NamedTensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, change(tensor, name)]),
  );
}

/** Sums by name; a name that one side lacks is the other's. */
export function sumTensors(a: NamedTensors, b: NamedTensors): NamedTensors {
  return { ...a, ...mapTensors(b, (tensor, name) => (a[name] ? tf.add(a[name], tensor) : tensor)) };
}

/** ⟨a, b⟩ over the names that both have. */
export function dot(a: NamedTensors, b: NamedTensors): Scalar {
  const products = Object.entries(b).flatMap(([name, tensor]) =>
    a[name] ? [tf.sum(tf.mul(a[name], tensor))] : [],
  );
  return products.length === 0 ? tf.scalar(0) : (tf.addN(products) as Scalar);
}
