import { definePlugin } from '@espalier/core';
import type { Tensor4D } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { imageInput, refuseMaps, withInput } from './inputs.js';
import { rearrange } from './pixels.js';

/** How one image is mirrored. */
export interface Flip {
  /** Left becomes right. */
  readonly horizontal: boolean;
  /** Top becomes bottom. */
  readonly vertical: boolean;
}

/**
 * Random flips: each training image is mirrored with a probability, in each direction that is on by
 * itself.
 *
 * @throws EspalierError at setup: `random-flip/input`, `random-flip/images`, `random-flip/maps`.
 * @example
 * const plugins = [randomFlip({ probability: 0.5, vertical: true })];
 */
export const randomFlip = definePlugin({
  id: 'random-flip',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-augmentation#randomFlip',
  options: z
    .strictObject({
      probability: z.number().min(0).max(1).default(0.5),
      horizontal: z.boolean().default(true),
      vertical: z.boolean().default(false),
      input: z.string().optional(),
    })
    .refine(({ horizontal, vertical }) => horizontal || vertical, {
      path: ['horizontal'],
      message: 'one of horizontal and vertical must be on',
    }),
  effects: { 'batch:inputs': 'modify' },
  order: { after: ['random-crop'], optional: ['random-crop'] },
  stateless: true,
  apply(ctx, { probability, horizontal, vertical, input }) {
    refuseMaps(ctx, 'random-flip');
    const imagesOf = imageInput(ctx, { plugin: 'random-flip', input });
    ctx.hooks.batch.tap((batch) => {
      const [name, images] = imagesOf(batch);
      const draw = ctx.random(`flips ${batch.key}`);
      const flips = Array.from({ length: batch.size }, () => ({
        horizontal: horizontal && draw() < probability,
        vertical: vertical && draw() < probability,
      }));
      return withInput(batch, name, flipImages(images, flips));
    });
  },
});

/**
 * Mirrors images.
 *
 * @param images `[batch, height, width, channels]`.
 * @param flips one for each image.
 * @example
 * const mirrored = flipImages(image, [{ horizontal: true, vertical: false }]);
 */
export function flipImages(images: Tensor4D, flips: readonly Flip[]): Tensor4D {
  const [, height, width] = images.shape;
  return rearrange(images, (at, image, row, column) => {
    const { horizontal, vertical } = flips[image]!;
    const y = vertical ? height - 1 - row : row;
    return at(image, y, horizontal ? width - 1 - column : column);
  });
}
