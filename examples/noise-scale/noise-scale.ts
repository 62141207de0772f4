import { definePlugin } from '@espalier/core';
import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import * as z from 'zod';

/**
 * The simple noise scale of a run (McCandlish et al. 2018, arXiv 1812.06162, appendix A.1), in examples. A step on
 * far fewer examples is mostly noise; a step on far more examples wastes most of them. The plugin compares the
 * gradients of single micro-batches (b examples each) with the gradient of all micro-batches of the step (B
 * examples), which `ctx.windowGradients()` computes:
 *
 *     |G|² ≈ (B·|g_B|² − b·|g_b|²) / (B − b)        tr Σ ≈ (|g_b|² − |g_B|²) / (1/b − 1/B)
 *
 * Both are averaged over steps, and `noise-scale` = tr Σ / |G|² is a metric of each evaluation. The plugin only
 * observes: it declares no effect. A run needs `accumulate: 2` or
 * more; micro-batches should be of one size.
 *
 * @example
 * const session = await createSession({ accumulate: 8, plugins: [noiseScale({ every: 10 })], … });
 * const { 'noise-scale': examples } = await session.evaluate();
 */
export const noiseScale = definePlugin({
  id: 'noise-scale',
  version: '1.0.0',
  options: z.strictObject({
    /** Measures in every such step; a measurement costs about two more steps. */
    every: z.int().positive().default(10),
    /** How much of the averages stays at each measurement. */
    decay: z.number().min(0).max(1).default(0.9),
  }),
  apply(ctx, { every, decay }) {
    let averages: Averages = { signal: 0, noise: 0 };

    ctx.hooks.beforeStep.tap(async ({ microBatches }) => {
      if (microBatches.length < 2 || ctx.clock.step % every !== 0) return;
      const large = microBatches.reduce((sum, { size }) => sum + size, 0);
      const sizes = { small: large / microBatches.length, large };
      const norms = tf.tidy(() => {
        const each = microBatches.map((batch) => squaredNorm(ctx.gradients(batch).gradients));
        const mean = tf.div(tf.addN(each), microBatches.length);
        return tf.stack([mean, squaredNorm(ctx.windowGradients())]);
      });
      const [ofSmall, ofLarge] = await norms.data();
      norms.dispose();
      const { signal, noise } = estimate({ small: ofSmall!, large: ofLarge! }, sizes);
      averages = {
        signal: decay * averages.signal + (1 - decay) * signal,
        noise: decay * averages.noise + (1 - decay) * noise,
      };
    });

    ctx.hooks.evaluate.tap(({ batch, metric }) => {
      const { signal, noise } = averages;
      if (signal > 0) metric(ctx.id, tf.fill([batch.size], noise / signal));
    });

    ctx.keepState({
      version: 1,
      save: () => ({ json: averages }),
      load: ({ json }) => void (averages = json as Averages),
    });
  },
});

/** Averages of |G|² and tr Σ. */
interface Averages {
  readonly signal: number;
  readonly noise: number;
}

/** A number for the small batch and for the large one. */
interface Pair {
  readonly small: number;
  readonly large: number;
}

/** Unbiased estimates from squared norms of the gradients of two batches of different size. */
export function estimate(norms: Pair, sizes: Pair): Averages {
  const { small, large } = sizes;
  return {
    signal: (large * norms.large - small * norms.small) / (large - small),
    noise: (norms.small - norms.large) / (1 / small - 1 / large),
  };
}

function squaredNorm(gradients: NamedTensors): tf.Scalar {
  const squares = Object.values(gradients).map((gradient) => tf.sum(tf.square(gradient)));
  return tf.addN(squares) as tf.Scalar;
}
