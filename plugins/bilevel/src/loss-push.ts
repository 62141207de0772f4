import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar } from '@tensorflow/tfjs-core';
import { dot } from './tensor-math.js';

/** What a step's square of the norm keeps of its weight in the next. */
const DECAY = 0.9;

/** How strongly the loss of the run pushes φ: a running root mean square of its gradients' norms. */
export class LossPush {
  /** Σ (1 − decay)·decay^age·‖g‖², on the device. */
  #square: Scalar | undefined;
  /** What its weights add up to. */
  #weight = 0;

  /** Adds a step's gradients of φ; steps without any do not count. */
  add(gradients: NamedTensors): void {
    if (Object.keys(gradients).length === 0) return;
    const before = this.#square;
    this.#square = tf.tidy(() => {
      const now = tf.mul<Scalar>(dot(gradients, gradients), 1 - DECAY);
      return tf.keep(before ? tf.add<Scalar>(tf.mul(before, DECAY), now) : now);
    });
    this.#weight = DECAY * this.#weight + 1 - DECAY;
    before?.dispose();
  }

  /** Whether the loss has given φ a gradient. */
  get known(): boolean {
    return this.#square !== undefined;
  }

  /** The sum on the device; never dispose it. */
  get square(): Scalar | undefined {
    return this.#square;
  }

  get weight(): number {
    return this.#weight;
  }

  /** The norm that a sum read from the device stands for. */
  toNorm(square: number): number {
    return Math.sqrt(square / this.#weight);
  }

  restore(square: Scalar | undefined, weight: number): void {
    this.reset();
    this.#square = square && tf.keep(tf.clone(square));
    this.#weight = weight;
  }

  reset(): void {
    this.#square?.dispose();
    this.#square = undefined;
    this.#weight = 0;
  }
}
