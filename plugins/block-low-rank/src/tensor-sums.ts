import { followPaths } from '@espalier/core';
import type { NamedTensors, StructureChange } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** Running sums of tensors by name, kept until disposed. */
export class TensorSums {
  readonly #sums = new Map<string, Tensor>();

  add(name: string, value: () => Tensor): void {
    const before = this.#sums.get(name);
    const sum = tf.tidy(() => {
      const added = value();
      return tf.keep(before ? tf.add(before, added) : tf.clone(added));
    });
    before?.dispose();
    this.#sums.set(name, sum);
  }

  tensors(): NamedTensors {
    return Object.fromEntries(this.#sums);
  }

  /** Drops the sums of parameters that are gone or have another shape. */
  follow(change: StructureChange): void {
    const left = followPaths(this.tensors(), change);
    for (const name of this.#sums.keys()) if (!left[name]) this.#sums.delete(name);
  }

  /** Takes sums over; the caller keeps its tensors. */
  load(tensors: NamedTensors): void {
    this.dispose();
    for (const [name, tensor] of Object.entries(tensors)) {
      this.#sums.set(
        name,
        tf.tidy(() => tf.keep(tf.clone(tensor))),
      );
    }
  }

  dispose(): void {
    tf.dispose([...this.#sums.values()]);
    this.#sums.clear();
  }
}
