import { definePlugin } from '@espalier/core';
import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { isAnotherModel } from './another-model.js';
import { KeptWeights } from './kept-weights.js';

/** How an average comes into its own, while there are few weights to average. */
type Start = 'bias-correction' | 'warm-up' | 'none';

/**
 * An exponential moving average of the weights, `a ← decay · a + (1 − decay) · w` after a step. Evaluations
 * use it, and a fit that is over puts it in place of the weights. Moving statistics of batch normalization
 * stay those of the model, as in Keras and in PyTorch's `AveragedModel`, or are averaged too. Where the
 * structure of the model changes, it begins anew.
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
    const average = new Average(decay, start);
    /** Whether a step was made since the averages were put in place. */
    let trained = false;
    const readWeights = () => selectFloats(ctx.parameters({ trainable: statistics === 'current' }));
    if (evaluate) ctx.evaluateAt(() => (trained ? average.tensors : {}));
    ctx.hooks.beforeApply.tap(() => average.begin(readWeights()));
    ctx.hooks.afterApply.tap(() => {
      trained = true;
      if (ctx.clock.step % every === 0) average.update(readWeights());
    });
    ctx.hooks.structureChange.tap((change) => {
      if (isAnotherModel(change)) average.reset();
      else if (statistics === 'current') average.drop(change.frozen);
    });
    ctx.hooks.finish.tap(() => {
      if (putInPlace && trained) {
        ctx.assign(average.tensors);
        trained = false;
      }
    });
    ctx.keepState({
      version: 1,
      save: () => ({ json: { updates: average.updates, trained }, tensors: average.tensors }),
      load: ({ json, tensors = {} }) => {
        const saved = json as { updates: number; trained: boolean };
        trained = saved.trained;
        average.restore(tensors, saved.updates);
      },
    });
    ctx.onTeardown(() => average.reset());
  },
});

function selectFloats(values: NamedTensors): NamedTensors {
  return Object.fromEntries(Object.entries(values).filter(([, { dtype }]) => dtype === 'float32'));
}

/** A moving average of weights. */
class Average {
  /** How often weights went into it. */
  updates = 0;
  readonly #kept = new KeptWeights();

  constructor(
    private readonly decay: number,
    private readonly start: Start,
  ) {}

  get tensors(): NamedTensors {
    return this.#kept.tensors;
  }

  /** Unless its bias is corrected, it begins at the weights before the first step. */
  begin(weights: NamedTensors): void {
    if (this.start !== 'bias-correction' && this.#kept.isEmpty) this.#kept.replace(weights);
  }

  update(weights: NamedTensors): void {
    const [rate, before] = [this.#computeRate(), this.tensors];
    this.updates += 1;
    this.#kept.replace(weights, (value, path) => {
      const average = before[path] ?? value;
      return tf.add(average, tf.mul(tf.sub(value, average), rate));
    });
  }

  drop(paths: readonly string[]): void {
    this.#kept.filter((path) => !paths.includes(path));
  }

  reset(): void {
    this.updates = 0;
    this.#kept.clear();
  }

  restore(tensors: NamedTensors, updates: number): void {
    this.updates = updates;
    this.#kept.replace(tensors);
  }

  /**
   * How far it goes to the weights. `bias-correction` makes it the mean of the weights so far, by powers of
   * the decay, as Adam does for its moments; `warm-up` begins with a smaller decay, (1 + t) / (10 + t).
   */
  #computeRate(): number {
    const { decay, start, updates } = this;
    if (start === 'none') return 1 - decay;
    if (start === 'warm-up') return 1 - Math.min(decay, (1 + updates) / (10 + updates));
    return (1 - decay) / (1 - decay ** (updates + 1));
  }
}
