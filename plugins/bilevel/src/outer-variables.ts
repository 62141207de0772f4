import type { NamedTensors, Slots, Transform } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** The optimizer of the outer variables, with its slots. */
export class OuterVariables {
  /** Outer steps done. */
  steps = 0;
  #slots: Slots | undefined;

  /** Values of φ after a step. The caller owns them. */
  moved(phi: NamedTensors, gradients: NamedTensors, optimizer: Transform): NamedTensors {
    const old = this.#slots;
    const result = tf.tidy(() => {
      const before = old ?? optimizer.init(phi);
      const { updates, slots } = optimizer.update(gradients, before, phi, { step: this.steps });
      this.#slots = slots;
      tensorsOf(slots).forEach((tensor) => tf.keep(tensor));
      return Object.fromEntries(
        Object.entries(updates).map(([path, update]) => [path, tf.add(phi[path]!, update)]),
      ) as NamedTensors;
    });
    const kept = new Set(tensorsOf(this.#slots));
    tf.dispose(tensorsOf(old).filter((tensor) => !kept.has(tensor)));
    this.steps += 1;
    return result;
  }

  /** Slots under one name each; live tensors. */
  get saved(): NamedTensors {
    return Object.fromEntries(
      Object.entries(this.#slots ?? {}).flatMap(([slot, byPath]) =>
        Object.entries(byPath).map(([path, tensor]) => [`${slot} ${path}`, tensor]),
      ),
    );
  }

  /** Takes copies of saved slots over. */
  restore(steps: number, saved: NamedTensors): void {
    this.dispose();
    this.steps = steps;
    if (steps === 0) return;
    const slots: Record<string, Record<string, Tensor>> = {};
    for (const [name, tensor] of Object.entries(saved)) {
      const gap = name.indexOf(' ');
      (slots[name.slice(0, gap)] ??= {})[name.slice(gap + 1)] = tf.keep(tf.clone(tensor));
    }
    this.#slots = slots;
  }

  dispose(): void {
    tf.dispose(tensorsOf(this.#slots));
    this.#slots = undefined;
  }
}

function tensorsOf(slots: Slots = {}): Tensor[] {
  return Object.values(slots).flatMap((slot) => Object.values(slot));
}
