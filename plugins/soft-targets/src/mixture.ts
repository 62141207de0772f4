import { EspalierError } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, Shape, SymbolicTensor } from '@tensorflow/tfjs-layers';

/**
 * Logits of a teacher that several members make together: Σ_m softmax(weights)_m · logits_m, which is their
 * weighted geometric mean at every temperature.
 *
 * @param logits Of each member, `[batch, classes]`.
 * @param weights `[members]`, before the softmax.
 * @returns `[batch, classes]`; both sides have gradients.
 * @throws EspalierError `exit-mixture/members`.
 * @example
 * const teacher = mixLogits(exits.map(stopGradient), weights);
 */
export function mixLogits(logits: readonly Tensor2D[], weights: Tensor1D): Tensor2D {
  const shapes = new Set(logits.map(({ shape }) => String(shape)));
  if (shapes.size !== 1 || weights.size !== logits.length) {
    throw new EspalierError('exit-mixture/members', {
      problem: 'mixLogits() needs logits of one shape, and one weight for each member',
      received: { logits: logits.map(({ shape }) => shape), weights: weights.shape },
      fix: 'Give the logits [batch, classes] of each member for the same batch, and weights [members].',
    });
  }
  const shape = logits[0]!.shape;
  const columns = tf.reshape<tf.Rank.R2>(tf.stack([...logits], -1), [-1, logits.length]);
  const shares = tf.reshape<tf.Rank.R2>(tf.softmax(weights), [-1, 1]);
  return tf.reshape(tf.matMul(columns, shares), shape);
}

/**
 * A layer that mixes logits of several members, `[batch, classes]` each, by trained weights; equal ones at
 * first. Importing this package registers the class.
 */
export class MixLogits extends tfl.layers.Layer {
  static readonly className = 'MixLogits';
  #weights!: tfl.LayerVariable;

  override build(inputShape: Shape | Shape[]): void {
    const zeros = tfl.initializers.zeros();
    this.#weights = this.addWeight('weights', [listShapes(inputShape).length], 'float32', zeros);
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape {
    return listShapes(inputShape)[0]!;
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    return tf.tidy(() =>
      mixLogits([inputs].flat() as Tensor2D[], this.#weights.read() as Tensor1D),
    );
  }
}
tf.serialization.registerClass(MixLogits);

/** The shapes of the inputs; tfjs gives that of one input alone. */
function listShapes(inputShape: Shape | Shape[]): Shape[] {
  return Array.isArray(inputShape[0]) ? (inputShape as Shape[]) : [inputShape as Shape];
}

/** Name of the input that takes a member's logits, counted from 0. */
export const memberName = (i: number) => `member_${i + 1}`;

/** Name of the output of teacher `i`, and of the layer that mixes it. */
export const mixtureName = (i: number) => `mix_${i + 1}`;

/** A model from members' logits to those of teachers, each of the members whose numbers it has. */
export function buildMixtures(
  members: number,
  classes: number,
  teachers: readonly (readonly number[])[],
): LayersModel {
  const inputs = Array.from({ length: members }, (_, i) =>
    tfl.input({ name: memberName(i), shape: [classes] }),
  );
  const outputs = teachers.map(
    (of, i) =>
      new MixLogits({ name: mixtureName(i) }).apply(of.map((k) => inputs[k]!)) as SymbolicTensor,
  );
  return tfl.model({ inputs, outputs });
}
