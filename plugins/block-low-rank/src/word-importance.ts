import { floorCounts, IMPORTANCE } from '@espalier/compression';
import type { Importance, ImportanceRequest } from '@espalier/compression';
import { definePlugin, EspalierError, toCanonicalName } from '@espalier/core';
import type { BaseContext, Effects, EvaluateContext, PluginFactory } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { TensorSums } from './tensor-sums.js';

const options = z.strictObject({
  /** Weight of a word's error. */
  rows: z.enum(['uniform', 'counts', 'log-counts', 'fisher']).default('counts'),
  /** Exponent of the weights: 0.5 takes the square root. */
  power: z.number().positive().default(1),
  /** Measure of a softmax row's error: plain, or by the covariance of the hidden states. */
  metric: z.enum(['euclidean', 'hidden-covariance']).default('euclidean'),
  /** The dense layer whose inputs are the hidden states; needed for `hidden-covariance`. */
  softmax: z.string().optional(),
});
type Options = z.output<typeof options>;

/**
 * Provides how much errors matter to `blockLowRank`. `fisher` weighs a row by the mean square of its
 * gradient (FWSVD, Hsu et al. 2022), `hidden-covariance` measures the error of a softmax row in the
 * logits that it gives (as SVD-LLM does for linear layers, Wang et al. 2024). Both are gathered while
 * the session evaluates: `await session.evaluate(source)` before `session.transform()`.
 *
 * @throws EspalierError `word-importance/counts`, `word-importance/no-statistics` (in `transform`).
 * @example
 * const plugins = [
 *   vocabPartition({ counts }),
 *   wordImportance({ rows: 'counts', metric: 'hidden-covariance', softmax: 'softmax' }),
 *   blockLowRank({ ratio: 4 }),
 * ];
 */
export const wordImportance: PluginFactory<typeof options> = definePlugin({
  id: 'word-importance',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-block-low-rank#wordImportance',
  options,
  apply(ctx, given) {
    const sums = new TensorSums();
    const hidden = hiddenLayer(ctx, given);
    if (hidden !== undefined) ctx.requestFeatures([hidden]);
    ctx.hooks.evaluate.tap((evaluation) => {
      if (hidden !== undefined) addCovariance(sums, evaluation, hidden);
      if (given.rows === 'fisher') addFisher(sums, ctx, evaluation);
    });
    ctx.hooks.structureChange.tap((change) => sums.follow(change));
    ctx.provide(IMPORTANCE, () => importance(given, sums));
    ctx.keepState({
      version: 1,
      save: () => ({ tensors: sums.tensors() }),
      load: ({ tensors = {} }) => sums.load(tensors),
    });
    ctx.onTeardown(() => sums.dispose());
  },
});

function hiddenLayer({ model }: BaseContext<Effects>, { metric, softmax }: Options) {
  if (metric === 'euclidean') return undefined;
  const known = model.layers.map(({ name }) => name);
  const wanted = toCanonicalName(softmax ?? '', known, model.ownNames);
  const layer = model.layers.find(({ name }) => name === wanted);
  if (layer?.inbound.length === 1) return layer.inbound[0]!;
  throw new EspalierError('word-importance/softmax', {
    problem:
      "metric 'hidden-covariance' needs to know the dense layer that makes the logits: option 'softmax'",
    received: softmax,
    fix: `Name one of ${known.join(', ')}.`,
  });
}

/** `Σ w h hᵀ` over positions and `Σ w`, each by the weight of its example. */
function addCovariance(
  sums: TensorSums,
  { features, batch }: EvaluateContext,
  layer: string,
): void {
  const states = features[layer]!;
  const columns = states.shape.at(-1)!;
  const weights = batch.weights ?? tf.ones([batch.size]);
  const rows = (x: Tensor) => tf.reshape(x, [-1, columns]) as Tensor2D;
  sums.add('covariance', () => {
    const shape = states.shape.map((_, i) => weights.shape[i] ?? 1);
    const weighed = tf.mul(states, tf.reshape(weights, shape));
    return tf.matMul(rows(weighed), rows(states), true, false);
  });
  const perWeight = states.size / columns / weights.size;
  sums.add('positions', () => tf.mul(tf.sum(weights), perWeight));
}

/** Squared gradients of every matrix, summed over its columns or rows. */
function addFisher(sums: TensorSums, ctx: BaseContext<Effects>, { batch }: EvaluateContext): void {
  const { gradients, total, values } = ctx.gradients(batch, { state: 'keep' });
  for (const [path, gradient] of Object.entries(gradients)) {
    if (/\/embeddings$/.test(path)) sums.add(path, () => tf.sum(tf.square(gradient), 1));
    if (/\/kernel$/.test(path) && gradient.rank === 2) {
      sums.add(path, () => tf.sum(tf.square(gradient), 0));
    }
  }
  tf.dispose([gradients, total, ...values]);
}

function importance({ rows, power, metric }: Options, sums: TensorSums): Importance {
  return {
    name: metric === 'euclidean' ? rows : `${rows}, ${metric}`,
    async weights(request) {
      const weights = await rowWeights(rows, request, sums);
      const covariance = metric === 'hidden-covariance' && request.side === 'softmax';
      return {
        rows: weights.map((weight) => weight ** power),
        ...(covariance && { metric: await mean(sums, request) }),
      };
    },
  };
}

async function rowWeights(
  rows: Options['rows'],
  request: ImportanceRequest,
  sums: TensorSums,
): Promise<Float64Array> {
  const { counts, matrix, layer, side } = request;
  if (rows === 'uniform') return new Float64Array(matrix.rows).fill(1);
  if (rows === 'fisher') {
    const path = `${layer}/${side === 'embedding' ? 'embeddings' : 'kernel'}`;
    return floorWeights(Float64Array.from(await readSum(sums, path, matrix.rows)));
  }
  if (!counts) {
    throw new EspalierError('word-importance/counts', {
      problem: `weighing the rows of layer '${layer}' by ${rows} needs the counts of its ${matrix.rows} words`,
      fix: "Add a plugin that provides them, e.g. vocabPartition({ counts }); where its rows are no words, leave it out: blockLowRank({ layers: [ … ] }); or pass rows: 'uniform'.",
    });
  }
  const floored = floorCounts(counts);
  return rows === 'counts' ? floored : floored.map((count) => Math.log1p(count));
}

/** Rows that no gradient reached count as the least that one did. */
function floorWeights(weights: Float64Array): Float64Array {
  const least = weights.reduce((min, w) => (w > 0 && w < min ? w : min), Infinity);
  return weights.map((weight) => Math.max(weight, least === Infinity ? 1 : least));
}

async function mean(sums: TensorSums, { layer, matrix }: ImportanceRequest): Promise<Float64Array> {
  const { columns } = matrix;
  const covariance = await readSum(sums, 'covariance', columns * columns, layer);
  const positions = await readSum(sums, 'positions', 1, layer);
  return Float64Array.from(covariance, (value) => value / positions[0]!);
}

async function readSum(
  sums: TensorSums,
  name: string,
  size: number,
  layer = name,
): Promise<ArrayLike<number>> {
  const tensor = sums.tensors()[name];
  if (tensor?.size === size) return tensor.data();
  throw new EspalierError('word-importance/no-statistics', {
    problem: tensor
      ? `the statistics for '${layer}' have ${tensor.size} numbers, not ${size}`
      : `no statistics were gathered for '${layer}'`,
    fix: 'Call session.evaluate(source), on training data, before session.transform().',
  });
}
