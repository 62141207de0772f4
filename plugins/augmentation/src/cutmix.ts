import { definePlugin } from '@espalier/core';
import type { KeyedRng } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor4D } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { drawBeta } from './beta.js';
import { boxAround, drawPixel, isInside } from './boxes.js';
import type { Box } from './boxes.js';
import { imageInput, refuseMaps, withInput } from './inputs.js';
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
import type { DrawMixOptions, Mix } from './mixing.js';
import { checkOnePerExample, rearrange } from './pixels.js';

/**
 * CutMix (Yun et al. 2019, arXiv 1905.04899): in each training image a box of the share 1 − λ of its pixels,
 * λ from Beta(α, α), is overwritten by that of another image of the batch. Its centre is any pixel, it is
 * clipped at the borders, and targets are mixed by the share of the pixels that were left.
 *
 * @throws EspalierError at setup: `cutmix/input`, `cutmix/images`, `cutmix/maps`, `cutmix/output`,
 * `cutmix/targets`, `effects/conflict` beside mixup.
 * @example
 * const plugins = [randomCrop(), randomFlip(), cutmix()];
 */
export const cutmix = definePlugin({
  id: 'cutmix',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-augmentation#cutmix',
  options: z.strictObject({ alpha: z.number().positive().default(1), ...mixerOptions }),
  effects: mixerEffects,
  order: mixerOrder,
  stateless: true,
  apply(ctx, { alpha, per, input, linear }) {
    const imagesOf = imageInput(ctx, { plugin: 'cutmix', input });
    refuseMaps(ctx, 'cutmix');
    checkTargets(ctx.losses, 'cutmix', linear);
    ctx.hooks.batch.tap(async (batch) => {
      const [name, images] = imagesOf(batch);
      const weights = await readWeights(batch);
      const random = ctx.random(`mix ${batch.key}`);
      const mix = drawCutmix(images.shape, random, { alpha, per, weights });
      return tf.tidy(() => ({
        ...withInput(batch, name, pasteBoxes(images, mix.partners, mix.boxes)),
        ...mixTargets(batch, mix, ctx, weights),
      }));
    });
  },
});

/** What cutmix draws: the box of each image that comes from its partner; `shares` are what is left of its own. */
export interface CutmixDraw extends Mix {
  readonly boxes: readonly Box[];
}

/**
 * Who is mixed with whom by CutMix, in which box, and the share of pixels that stays. Change images with
 * {@link pasteBoxes} and targets (distributions or numbers) with {@link mixExamples}.
 *
 * @param shape That of the images, `[batch, height, width, channels]`.
 * @param random Draws: equal streams give equal mixes.
 * @param options `alpha` is 1 by default.
 * @see CutMix, Yun et al. 2019, arXiv 1905.04899.
 * @example
 * const { partners, shares, boxes } = drawCutmix(x.shape, keyedRng(seed, 'cutmix', step));
 * const [mixedX, mixedY] = [pasteBoxes(x, partners, boxes), mixExamples(y, partners, shares)];
 */
export function drawCutmix(
  [size, height, width]: Tensor4D['shape'],
  random: KeyedRng,
  { alpha = 1, per = 'batch', weights }: DrawMixOptions = {},
): CutmixDraw {
  const boxes = drawMix(per, size, () => drawBox(alpha, [height, width], random));
  const partners = drawPartners(size, weights, random);
  return { boxes, partners, shares: boxes.map((box) => 1 - area(box) / (height * width)) };
}

/**
 * Overwrites a box of each image by the same box of another.
 *
 * @param images `[batch, height, width, channels]`.
 * @param partners the image that each box is taken from.
 * @param boxes one for each image.
 * @throws EspalierError `augmentation/length`: not one partner and one box for each image.
 * @example
 * const box = { top: 0, bottom: 4, left: 0, right: 4 };
 * const mixed = pasteBoxes(images, [1, 0], [box, box]);
 */
export function pasteBoxes(
  images: Tensor4D,
  partners: ArrayLike<number>,
  boxes: readonly Box[],
): Tensor4D {
  checkOnePerExample('pasteBoxes', images, { partners, boxes });
  return rearrange(images, (at, image, row, column) => {
    const source = isInside(boxes[image]!, row, column) ? partners[image]! : image;
    return at(source, row, column);
  });
}

function drawBox(alpha: number, sides: readonly [number, number], draw: () => number): Box {
  const scale = Math.sqrt(1 - drawBeta(alpha, draw));
  const size = [Math.floor(sides[0] * scale), Math.floor(sides[1] * scale)] as const;
  return boxAround(drawPixel(sides, draw), size, sides);
}

function area({ top, bottom, left, right }: Box): number {
  return (bottom - top) * (right - left);
}
