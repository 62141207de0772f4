import { definePlugin, EspalierError } from '@espalier/core';
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
import type { MixerContext } from './mixing.js';

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
      const shares = drawMix(per, batch.size, () => drawBeta(alpha, random));
      const mix = { shares, partners: drawPartners(batch, weights, random) };
      return tf.tidy(() => ({
        ...withInput(batch, name, mixExamples(x, mix.partners, shares)),
        ...mixTargets(batch, mix, ctx, weights),
      }));
    });
  },
});

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
