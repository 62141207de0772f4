import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { Layer } from '../weights/parameters.js';

type Mask = Tensor | undefined;
type Masks = Mask | readonly Mask[];

/** Layers whose output has a step masked where any of their inputs has; tfjs mixes up the axes. */
const MERGING = new Set(['Add', 'Average', 'Maximum', 'Minimum', 'Multiply']);
/** Layers that work step by step and let a mask through in Keras, but lose it in tfjs. */
const PASSING = new Set(['ELU', 'LeakyReLU', 'ThresholdedReLU']);
/** Layers that compute masks from the masks of their inputs alone. */
const HANDING_ON = new Set([...MERGING, 'Bidirectional', 'Concatenate', 'Dot']);

/** Whether a layer can be where a mask begins, as Masking and an Embedding with maskZero. */
export function makesMasks(layer: Layer): boolean {
  const own = layer.computeMask !== tfl.layers.Layer.prototype.computeMask;
  if (!own || !layer.supportsMasking || layer instanceof tfl.RNN) return false;
  return !HANDING_ON.has(layer.getClassName());
}

/**
 * Follows masks from layer to layer in one run of a model, beside tfjs, which keeps them to itself. Whoever
 * makes one disposes it when the run is over.
 */
export class MaskTrail {
  readonly #masks = new Map<Tensor, Tensor>();

  /** The mask of a layer's output, bool `[batch, time]`. */
  of(output: Tensor): Mask {
    const mask = this.#masks.get(output);
    const fits = mask && tf.util.arraysEqual(output.shape.slice(0, mask.rank), mask.shape);
    return fits ? mask : undefined;
  }

  /** Notes the masks of what a layer made. A nested model's are those of its layers. */
  follow(layer: Layer, inputs: readonly Tensor[], outputs: readonly Tensor[]): void {
    if (layer instanceof tfl.LayersModel) return;
    const given = inputs.map((input) => this.of(input));
    if (!makesMasks(layer) && given.every((mask) => mask === undefined)) return;
    const made = tf.tidy(() => computeMasks(layer, inputs, given) as Tensor[]) as Masks;
    outputs.forEach((output, i) => {
      const mask = Array.isArray(made) ? (made as readonly Mask[])[i] : i === 0 ? made : undefined;
      if (mask) this.#masks.set(output, tf.keep(mask as Tensor));
    });
  }

  dispose(): void {
    new Set(this.#masks.values()).forEach((mask) => mask.dispose());
  }
}

function computeMasks(layer: Layer, inputs: readonly Tensor[], masks: readonly Mask[]): Masks {
  const name = layer.getClassName();
  if (PASSING.has(name)) return masks[0];
  if (!layer.supportsMasking) return undefined;
  const given = masks.filter((mask) => mask !== undefined);
  if (MERGING.has(name)) return given.reduce((a, b) => tf.logicalAnd(a, b));
  const nulls = masks.map((mask) => mask ?? null) as Tensor[];
  const made: unknown = layer.computeMask([...inputs], nulls);
  const list = (Array.isArray(made) ? made : [made]) as (Tensor | null)[];
  return list.map((mask) => mask ?? undefined);
}
