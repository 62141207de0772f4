import { definePlugin, EspalierError } from '@espalier/core';
import type { Tensor4D } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { boxAround, drawPixel, isInside } from './boxes.js';
import type { Box } from './boxes.js';
import { imageInput, withInput } from './inputs.js';
import { FILL, rearrange } from './pixels.js';

/**
 * Cutout (DeVries & Taylor 2017, arXiv 1708.04552): in each training image a square is overwritten. Its
 * centre is any pixel, so at the borders a part of it lies outside.
 *
 * @throws EspalierError at setup, or at a batch where the model leaves sides open: `cutout/input`,
 * `cutout/images`, `cutout/size`.
 * @example
 * const plugins = [randomCrop(), randomFlip(), cutout({ size: 8 })];
 */
export const cutout = definePlugin({
  id: 'cutout',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-augmentation#cutout',
  options: z.strictObject({
    size: z.int().positive().default(16),
    fill: z.number().default(0),
    input: z.string().optional(),
  }),
  effects: { 'batch:inputs': 'modify' },
  order: { after: ['random-crop', 'random-flip'], optional: ['random-crop', 'random-flip'] },
  stateless: true,
  apply(ctx, { size, fill, input }) {
    const imagesOf = imageInput(ctx, { plugin: 'cutout', input }, (sides) =>
      checkSize(size, sides),
    );
    ctx.hooks.batch.tap((batch) => {
      const [name, images] = imagesOf(batch);
      const draw = ctx.random(`centres ${batch.key}`);
      const sides = [images.shape[1], images.shape[2]] as const;
      const boxes = Array.from({ length: batch.size }, () =>
        boxAround(drawPixel(sides, draw), [size, size], sides),
      );
      return withInput(batch, name, cutBoxes(images, boxes, fill));
    });
  },
});

/**
 * Overwrites a box of each image.
 *
 * @param images `[batch, height, width, channels]`.
 * @param boxes one for each image.
 * @param fill what all channels are inside.
 * @example
 * const cut = cutBoxes(image, [{ top: 2, bottom: 6, left: 0, right: 4 }], 0.5);
 */
export function cutBoxes(images: Tensor4D, boxes: readonly Box[], fill = 0): Tensor4D {
  return rearrange(
    images,
    (at, image, row, column) =>
      isInside(boxes[image]!, row, column) ? FILL : at(image, row, column),
    fill,
  );
}

function checkSize(size: number, sides: readonly (number | null)[]): void {
  if (sides.every((side) => side === null || size <= side)) return;
  throw new EspalierError('cutout/size', {
    problem: `a square of ${size} pixels is larger than images of ${sides.join(' × ')}`,
    received: size,
    fix: 'Give a smaller size: the paper takes 16 on CIFAR-10 and 8 on CIFAR-100, of 32 pixels.',
  });
}
