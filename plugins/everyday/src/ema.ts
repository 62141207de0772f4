import { definePlugin, followPaths } from '@espalier/core';
import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';

/** How an average comes into its own, while there are few weights to average. */
type Start = 'bias-correction' | 'warm-up' | 'none';

/**
 * An exponential moving average of the weights, `a ← decay · a + (1 − decay) · w` after a step. Evaluations
 * use it, and a fit that is over puts it in place of the weights. Moving statistics of batch normalization
 * stay those of the model, as in Keras and in PyTorch's `AveragedModel`, or are averaged too.
 *
 * @example
 * const plugins = [ema({ decay: 0.999 })];
 */
export const ema = definePlugin({
  id: 'ema',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-everyday#ema',
  options: z.strictObject({
    decay: z.number().min(0).lt(1, 'must be below 1, or the average never moves').default(0.999),
    every: z.int().positive().default(1),
    start: z.enum(['bias-correction', 'warm-up', 'none']).default('bias-correction'),
    statistics: z.enum(['current', 'average']).default('current'),
    evaluate: z.boolean().default(true),
    putInPlace: z.boolean().default(true),
  }),
  effects: { 'weights:*': 'modify', evaluation: 'replace' },
  apply(ctx, { decay, every, start, statistics, evaluate, putInPlace }) {
    let averages: NamedTensors = {};
    let updates = 0;
    let trained = false;
    const averaged = () => {
      const all = Object.entries(ctx.parameters({ trainable: statistics === 'current' }));
      return all.filter(([, { dtype }]) => dtype === 'float32');
    };
    const replace = (entries: readonly (readonly [string, tf.Tensor])[]) => {
      entries.forEach(([, average]) => tf.keep(average));
      tf.dispose(averages);
      averages = Object.fromEntries(entries);
    };
    const update = () => {
      const rate = computeRate({ decay, start }, updates);
      updates += 1;
      replace(
        averaged().map(([path, value]) => {
          const average = averages[path] ?? value;
          return [path, tf.add(average, tf.mul(tf.sub(value, average), rate))];
        }),
      );
    };
    if (evaluate) ctx.evaluateAt(() => (trained ? averages : {}));
    const begin = () => replace(averaged().map(([path, value]) => [path, tf.clone(value)]));
    ctx.hooks.beforeApply.tap(() => {
      const begun = start === 'bias-correction' || Object.keys(averages).length > 0;
      if (!begun) begin();
    });
    ctx.hooks.afterApply.tap(() => {
      trained = true;
      if (ctx.clock.step % every === 0) tf.tidy(update);
    });
    ctx.hooks.structureChange.tap((change) => {
      const { frozen } = change;
      const gone = statistics === 'current' ? [...change.dropped, ...frozen] : change.dropped;
      averages = followPaths(averages, { ...change, dropped: gone });
    });
    ctx.hooks.finish.tap(() => {
      if (!putInPlace || !trained) return;
      ctx.assign(averages);
      trained = false;
    });
    ctx.keepState({
      version: 1,
      save: () => ({ json: { updates, trained }, tensors: averages }),
      load: ({ json, tensors = {} }) => {
        ({ updates, trained } = json as { updates: number; trained: boolean });
        replace(Object.entries(tensors).map(([path, average]) => [path, tf.clone(average)]));
      },
    });
    ctx.onTeardown(() => replace([]));
  },
});

/**
 * How far an average goes to the weights. `bias-correction` makes it the mean of the weights so far, by powers
 * of the decay, as Adam does for its moments; `warm-up` begins with a smaller decay, (1 + t) / (10 + t).
 */
function computeRate({ decay, start }: { decay: number; start: Start }, updates: number): number {
  if (start === 'none') return 1 - decay;
  if (start === 'warm-up') return 1 - Math.min(decay, (1 + updates) / (10 + updates));
  return (1 - decay) / (1 - decay ** (updates + 1));
}
