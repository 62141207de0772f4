import { applyUpdates, EspalierError, followOptimizerState } from '@espalier/core';
import type { NamedTensors, OptimizerState, GradientTransform } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** The slots of an optimizer of the outer variables. */
export class OuterVariables {
  /** Outer steps done. */
  steps = 0;
  #slots: OptimizerState | undefined;

  /** Values of φ after a step. The caller owns them. */
  computeStep(
    phi: NamedTensors,
    gradients: NamedTensors,
    optimizer: GradientTransform,
  ): NamedTensors {
    const old = this.#slots;
    const result = tf.tidy(() => {
      const before = old ?? optimizer.init(phi);
      const { updates, state: slots } = optimizer.update(gradients, before, phi, {
        step: this.steps,
      });
      this.#slots = slots;
      listTensors(slots).forEach((tensor) => tf.keep(tensor));
      return applyUpdates(phi, updates);
    });
    this.#disposeReplaced(old);
    this.steps += 1;
    return result;
  }

  /** Keeps the slots of variables that are there as before; those of others are as `fresh` ones. */
  follow(fresh: OptimizerState): void {
    const old = this.#slots;
    if (!old) return;
    this.#slots = followOptimizerState(old, fresh);
    listTensors(this.#slots).forEach((tensor) => tf.keep(tensor));
    this.#disposeReplaced(old);
  }

  /** Slots under one name each; live tensors. */
  get saved(): NamedTensors {
    return flattenState(this.#slots);
  }

  /**
   * Takes copies of saved slots over.
   *
   * @param fresh Slots as this run's optimizer makes them.
   * @throws EspalierError `bilevel/slots` where the saved ones are others.
   */
  restore(steps: number, saved: NamedTensors, fresh: OptimizerState): void {
    if (steps > 0) checkSlots(saved, flattenState(fresh));
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

  #disposeReplaced(old: OptimizerState | undefined): void {
    const kept = new Set(listTensors(this.#slots));
    tf.dispose(listTensors(old).filter((tensor) => !kept.has(tensor)));
  }

  dispose(): void {
    tf.dispose(listTensors(this.#slots));
    this.#slots = undefined;
  }
}

function flattenState(slots: OptimizerState = {}): NamedTensors {
  return Object.fromEntries(
    Object.entries(slots).flatMap(([slot, byPath]) =>
      Object.entries(byPath).map(([path, tensor]) => [`${slot} ${path}`, tensor]),
    ),
  );
}

function checkSlots(saved: NamedTensors, fresh: NamedTensors): void {
  const other = [...Object.keys(saved), ...Object.keys(fresh)].find(
    (name) => String(saved[name]?.shape) !== String(fresh[name]?.shape),
  );
  if (other === undefined) return;
  throw new EspalierError('bilevel/slots', {
    problem: `the checkpoint was written with another outer optimizer or other variables: '${other}' is ${saved[other] ? 'in it, but has no place of its shape here' : 'not in it'}`,
    received: Object.keys(saved),
    fix: "Use the 'outer-optimizer' and the variables that wrote it; the checkpoint is untouched.",
  });
}

function listTensors(slots: OptimizerState = {}): Tensor[] {
  return Object.values(slots).flatMap((slot) => Object.values(slot));
}
