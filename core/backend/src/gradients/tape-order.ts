import type * as tf from '@tensorflow/tfjs-core';
import { wrapMethod } from './engine.js';
import type { EnginePatch } from './engine.js';

/**
 * A gradient that needs the output of its op (sigmoid, exp, softmax) is handed a clone of it. The
 * engine records that clone before the op itself, so that a walk along the tape meets the clone
 * while its source does not yet depend on anything: the path through it is lost, and every second
 * derivative lacks a term without a word. The op belongs in front of the clones of its outputs.
 */
export const repairTapeOrder: EnginePatch = (engine) =>
  wrapMethod(engine, 'addTapeNode', (record) => (...args) => {
    const [, inputs, outputs, , saved] = args;
    // The einsum of an identity hands back its input: recorded, it would count its gradient twice.
    if (readsAny(inputs, outputs)) return saved.forEach((tensor) => tensor.dispose());
    record(...args);
    const tape = engine.state.activeTape!;
    const clonesFrom = tape.length - 1 - saved.length;
    const clones = tape.slice(clonesFrom, -1);
    const first = clones.findIndex((clone) => readsAny(clone.inputs, outputs));
    if (first >= 0) tape.splice(clonesFrom + first, 0, tape.pop()!);
  });

function readsAny(inputs: Record<string, tf.Tensor | undefined>, tensors: tf.Tensor[]): boolean {
  return Object.values(inputs).some((input) => input && tensors.includes(input));
}
