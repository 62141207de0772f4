import { definePlugin, EspalierError } from '@espalier/core';
import type { KeyedRng } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { drawBeta } from './beta.js';
import { findInput, withInput } from './inputs.js';
import { mixExamples } from './mix-examples.js';
import {
  checkTargets,
  drawMix,
  drawPartners,
  mixerEffects,
  mixerOptions,
  mixerOrder,
  mixTargets,
  readWeights,
} from './mixing.js';
import type { DrawMixOptions, Mix, MixerContext } from './mixing.js';

/**
 * mixup (Zhang et al. 2018, arXiv 1710.09412): each training example becomes λ·x + (1 − λ)·x′ of itself and
 * another one of its batch, its target likewise, with λ from Beta(α, α). Inputs of any shape, float32.
 *
 * @throws EspalierError at setup: `mixup/input`, `mixup/ids`, `mixup/output`, `mixup/targets`,
 * `effects/conflict` beside cutmix; at a batch `mixup/ids`.
 * @example
 * const plugins = [randomCrop(), randomFlip(), mixup({ alpha: 1 })];
 */
export const mixup = definePlugin({
  id: 'mixup',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-augmentation#mixup',
  options: z.strictObject({ alpha: z.number().positive().default(0.2), ...mixerOptions }),
  effects: mixerEffects,
  order: mixerOrder,
  stateless: true,
  apply(ctx, { alpha, per, input, linear }) {
    const name = findInput(ctx, { plugin: 'mixup', input });
    checkTargets(ctx.losses, 'mixup', linear);
    if (isLookedUp(ctx, name)) throw ids(name, 'of an embedding');
    ctx.hooks.batch.tap(async (batch) => {
      const x = batch.inputs[name]!;
      if (x.dtype !== 'float32') throw ids(name, x);
      const weights = await readWeights(batch);
      const random = ctx.random(`mix ${batch.key}`);
      const mix = drawMixup(batch.size, random, { alpha, per, weights });
      return tf.tidy(() => ({
        ...withInput(batch, name, mixExamples(x, mix.partners, mix.shares)),
        ...mixTargets(batch, mix, ctx, weights),
      }));
    });
  },
});

/**
 * Who is mixed with whom by mixup, and how much of an example stays: λ from Beta(α, α). Mix inputs and
 * targets (distributions or numbers) with {@link mixExamples}.
 *
 * @param size Examples in the batch.
 * @param random Draws: equal streams give equal mixes.
 * @param options `alpha` is 0.2 by default.
 * @see mixup, Zhang et al. 2018, arXiv 1710.09412.
 * @example
 * const { partners, shares } = drawMixup(x.shape[0], keyedRng(seed, 'mixup', step), { alpha: 1 });
 * const [mixedX, mixedY] = [mixExamples(x, partners, shares), mixExamples(y, partners, shares)];
 */
export function drawMixup(
  size: number,
  random: KeyedRng,
  { alpha = 0.2, per = 'batch', weights }: DrawMixOptions = {},
): Mix {
  const shares = drawMix(per, size, () => drawBeta(alpha, random));
  return { shares, partners: drawPartners(size, weights, random) };
}

function isLookedUp({ model }: MixerContext, input: string): boolean {
  return model.layers.some(
    ({ className, inbound }) => className.endsWith('Embedding') && inbound.includes(input),
  );
}

function ids(input: string, received: unknown): EspalierError {
  return new EspalierError('mixup/ids', {
    problem: `the input '${input}' holds integers or ids, whose mixtures mean nothing`,
    received,
    fix: 'Give numbers as float32, and leave mixup out where the input is made of ids.',
  });
}
