import { definePlugin, EspalierError, suggest } from '@espalier/core';
import type { Batch, PluginContext } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { balanceClasses } from './count-classes.js';

const weight = z.number().nonnegative();
const mixers = ['mixup', 'cutmix'];

/**
 * Weighs training examples (or their time steps) by the class of their target, on top of weights that they
 * have. A class that is not named weighs 1. `'balanced'` makes all classes count the same in sum, by `counts`.
 * Validation is not weighed. Of several outputs, each that counts has a plugin of its own; an example's weights
 * are then multiplied, and count for all outputs.
 *
 * @throws EspalierError at setup: `class-weights/output`, `class-weights/no-classes`,
 * `class-weights/classes`, `class-weights/counts`.
 * @example
 * const plugins = [classWeights({ weights: { 1: 10 } })];
 * const balanced = classWeights({ weights: 'balanced', counts: await countClasses(train) });
 */
export const classWeights = definePlugin({
  id: 'class-weights',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-everyday#classWeights',
  options: z.strictObject({
    weights: z
      .union([z.literal('balanced'), z.array(weight), z.record(z.string(), weight)])
      .default('balanced'),
    counts: z.array(z.int().nonnegative()).optional(),
    output: z.string().optional(),
  }),
  effects: { 'batch:weights': 'modify' },
  order: { before: mixers, optional: mixers },
  stateless: true,
  apply(ctx, { weights, counts, output }) {
    const name = findOutput(ctx, output);
    const classes = countOutputClasses(ctx, name);
    const table = makeTable(weights, counts, classes);
    const rank = ctx.model.outputShapes[name]!.length;
    ctx.hooks.batch.tap((batch) =>
      tf.tidy(() => {
        const perClass = tf.tensor1d(table);
        const target = batch.targets[name]!;
        const own = target.rank < rank ? weighIds(target, perClass) : weighShares(target, perClass);
        return { ...batch, weights: multiply(own, batch) };
      }),
    );
  },
});

type Context = Pick<PluginContext, 'losses' | 'model'>;

function findOutput({ losses }: Context, output: string | undefined): string {
  const names = Object.keys(losses);
  if (output === undefined && names.length === 1) return names[0]!;
  if (output !== undefined && names.includes(output)) return output;
  throw new EspalierError('class-weights/output', {
    problem:
      output === undefined
        ? 'several outputs have a loss, and none is named'
        : `there is no loss for an output '${output}'`,
    received: output ?? names,
    fix:
      output === undefined
        ? "Name one with the option output; for another one add classWeights({ … }, { id: 'class-weights-2' })."
        : suggest(output, names),
  });
}

/** Classes of an output; of one unit with targets 0 and 1, two. */
function countOutputClasses({ losses, model }: Context, output: string): number {
  const [loss, units] = [losses[output]!, model.outputShapes[output]!.at(-1)!];
  if (loss.classIds) return units;
  if (loss.targets === 'probabilities' && units === 1) return 2;
  throw new EspalierError('class-weights/no-classes', {
    problem: `the targets of output '${output}' name no class of each example: its loss is ${loss.name}, of ${units} unit${units === 1 ? '' : 's'}`,
    fix: 'Train classes with crossEntropy(), or 0 and 1 of one unit with binaryCrossEntropy(); or give the source weights.',
  });
}

type Weights = 'balanced' | readonly number[] | Readonly<Record<string, number>>;

function makeTable(weights: Weights, counts: readonly number[] | undefined, classes: number) {
  if (weights === 'balanced') return balance(counts, classes);
  const unknown = Object.keys(weights).find((id) => !(Number(id) < classes && /^\d+$/.test(id)));
  if (unknown !== undefined) {
    throw new EspalierError('class-weights/classes', {
      problem: `there is a weight for the class '${unknown}', and the classes are 0 to ${classes - 1}`,
      received: weights,
      fix: 'Name classes by their ids: { 0: 1, 1: 10 }.',
    });
  }
  return Array.from({ length: classes }, (_, id) => (weights as readonly number[])[id] ?? 1);
}

function balance(counts: readonly number[] | undefined, classes: number): number[] {
  if (counts?.length === classes && counts.some((count) => count > 0))
    return balanceClasses(counts);
  throw new EspalierError('class-weights/counts', {
    problem: `'balanced' needs the number of examples of each of the ${classes} classes`,
    received: counts,
    fix: `Give counts, a list of ${classes} numbers or await countClasses(train, { classes: ${classes} }); or weights by class: { 0: 1, 1: 10 }.`,
  });
}

/** Of class ids; one that is out of range is that of an example that does not count. */
function weighIds(ids: Tensor, perClass: Tensor): Tensor {
  const known = tf.clipByValue(tf.cast(ids, 'int32'), 0, perClass.size - 1);
  return tf.gather(perClass, tf.cast(known, 'int32'));
}

/** Of distributions over classes, or of one number: the share of class 1. */
function weighShares(target: Tensor, perClass: Tensor): Tensor {
  const given = tf.cast(target, 'float32');
  const shares =
    given.shape.at(-1) === perClass.size ? given : tf.concat([tf.sub(1, given), given], -1);
  return tf.sum(tf.mul(shares, perClass), -1);
}

/** Times the weights that the batch has; where those are 0, 0, whatever the target holds. */
function multiply(own: Tensor, { weights }: Batch): Tensor {
  if (!weights) return own;
  const rank = Math.max(own.rank, weights.rank);
  const align = (tensor: Tensor) =>
    tf.reshape(tensor, [...tensor.shape, ...new Array<number>(rank - tensor.rank).fill(1)]);
  const [left, right] = [align(own), align(weights)];
  const product = tf.mul(left, right);
  return tf.where(tf.greater(tf.add(right, tf.zerosLike(left)), 0), product, tf.zerosLike(product));
}
