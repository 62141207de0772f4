import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** Tensors by parameter path that a plugin keeps from step to step. */
export class KeptWeights {
  #tensors: NamedTensors = {};

  get tensors(): NamedTensors {
    return this.#tensors;
  }

  get isEmpty(): boolean {
    return Object.keys(this.#tensors).length === 0;
  }

  /** Keeps what `make` gives for each value, in place of all that it held. */
  replace(values: NamedTensors, make: (value: Tensor, path: string) => Tensor = tf.clone): void {
    const made = tf.tidy(() =>
      Object.entries(values).map(([path, value]) => [path, tf.keep(make(value, path))] as const),
    );
    this.clear();
    this.#tensors = Object.fromEntries(made);
  }

  /** Keeps those of which `stays` is true, and disposes the others. */
  filter(stays: (path: string) => boolean): void {
    const entries = Object.entries(this.#tensors);
    tf.dispose(entries.filter(([path]) => !stays(path)).map(([, tensor]) => tensor));
    this.#tensors = Object.fromEntries(entries.filter(([path]) => stays(path)));
  }

  clear(): void {
    this.filter(() => false);
  }
}
