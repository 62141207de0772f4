import type { EvaluateContext } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { OutputKind } from './output-kind.js';

/** Columns of a row, one after the other, and how many there are of each. */
export interface Layout {
  /** How much the row counts: 1 column. */
  readonly weight: 1;
  /** Class id, or 0 and 1 of each label. */
  readonly actual: number;
  /** Likewise; NaN where a score is. */
  readonly predicted: number;
  /** How many classes have a larger score than the actual one; NaN where a score is. */
  readonly rank: 0 | 1;
  readonly scores: number;
}

/** What a row holds, as far as it is asked for. */
export function planRows(
  { kind, classes }: OutputKind,
  { ranks, scores }: { readonly ranks: boolean; readonly scores: boolean },
): Layout {
  const each = kind === 'labels' ? classes : 1;
  const scored = kind === 'binary' ? 1 : classes;
  return {
    ...{ weight: 1, actual: each, predicted: each },
    ...{ rank: ranks ? 1 : 0, scores: scores ? scored : 0 },
  };
}

type Seen = Pick<EvaluateContext, 'batch' | 'outputs' | 'targets' | 'steps'>;

/** A row for each example of a batch, or for each of its time steps, `[rows, columns]`; in the caller's tidy. */
export function readRows(seen: Seen, measured: OutputKind, layout: Layout): Tensor2D {
  const { kind, output } = measured;
  const given = seen.outputs[output]!;
  const units = given.shape.at(-1)!;
  const scores = tf.reshape<tf.Rank.R2>(given, [-1, units]);
  const target = tf.cast(seen.targets[output]!, 'float32');
  const shares = tf.reshape(target, [scores.shape[0], -1]);
  const faulty = tf.any(tf.isNaN(scores), 1, true);
  const actual = kind === 'classes' ? readIds(shares) : tf.cast(tf.greater(shares, 0.5), 'float32');
  const columns = [
    weighRows(seen, output, scores.shape[0]),
    actual,
    orNaN(faulty, predict(scores, measured)),
    ...(layout.rank ? [orNaN(faulty, countLarger(scores, actual))] : []),
    ...(layout.scores ? [rankable(scores, measured)] : []),
  ];
  return tf.concat(columns, 1) as Tensor2D;
}

function readIds(shares: Tensor): Tensor {
  return shares.shape[1] === 1
    ? shares
    : tf.cast(tf.expandDims(tf.argMax(shares, 1), 1), 'float32');
}

function predict(scores: Tensor2D, { kind, logits }: OutputKind): Tensor {
  const found =
    kind === 'classes'
      ? tf.expandDims(tf.argMax(scores, 1), 1)
      : tf.greater(scores, logits ? 0 : 0.5);
  return tf.cast(found, 'float32');
}

function countLarger(scores: Tensor2D, actual: Tensor): Tensor {
  const ids = tf.reshape(tf.cast(actual, 'int32'), [-1]) as tf.Tensor1D;
  const chosen = tf.cast(tf.oneHot(ids, scores.shape[1]), 'bool');
  const own = tf.sum(tf.where(chosen, scores, tf.zerosLike(scores)), 1, true);
  return tf.sum(tf.cast(tf.greater(scores, own), 'float32'), 1, true);
}

/** Scores of a class that can be compared from example to example. */
function rankable(scores: Tensor2D, { kind, logits }: OutputKind): Tensor {
  return kind === 'classes' && logits ? tf.logSoftmax(scores) : scores;
}

function orNaN(faulty: Tensor, values: Tensor): Tensor {
  return tf.where(faulty, tf.scalar(NaN), values);
}

/** The weight of an example, divided among its time steps as its loss is. */
function weighRows({ batch, steps }: Seen, output: string, rows: number): Tensor {
  const each = rows / batch.size;
  const shares = steps[output]
    ? tf.reshape(steps[output], [batch.size, -1])
    : tf.ones([batch.size, each]);
  const sums = tf.sum(shares, 1, true);
  const none = tf.cast(tf.equal(sums, 0), 'float32');
  const weights = batch.weights ? tf.reshape(batch.weights, [-1, 1]) : tf.ones([batch.size, 1]);
  const perStep = tf.mul(tf.div(shares, tf.add(sums, none)), weights);
  const repeat = each / perStep.shape[1]!;
  const spread =
    repeat === 1 ? perStep : tf.div(tf.tile(tf.expandDims(perStep, 2), [1, 1, repeat]), repeat);
  return tf.reshape(spread, [rows, 1]);
}
