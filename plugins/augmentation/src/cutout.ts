import { definePlugin, EspalierError } from '@espalier/core';
import type { Tensor4D } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { boxAround, drawPixel, isInside } from './boxes.js';
import type { Box } from './boxes.js';
import { imageInput, withInput } from './inputs.js';
import { checkOnePerExample, FILL, rearrange } from './pixels.js';

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
      return withInput(batch, name, cutBoxes(images, drawCutout(images.shape, draw, size), fill));
    });
  },
});

/**
 * A square for each image, around any of its pixels and clipped at the borders. Overwrite them with
 * {@link cutBoxes}.
 *
 * @param shape That of the images, `[batch, height, width, channels]`.
 * @param draw Uniform draws in [0, 1): equal streams give equal squares.
 * @param size Side of the square, whole pixels.
 * @see Cutout, DeVries & Taylor 2017, arXiv 1708.04552.
 * @example
 * const cut = cutBoxes(images, drawCutout(images.shape, keyedRng(seed, 'cutout', step), 8));
 */
export function drawCutout(
  [count, height, width]: Tensor4D['shape'],
  draw: () => number,
  size = 16,
): Box[] {
  const sides = [height, width] as const;
  return Array.from({ length: count }, () =>
    boxAround(drawPixel(sides, draw), [size, size], sides),
  );
}

/**
 * Overwrites a box of each image.
 *
 * @param images `[batch, height, width, channels]`.
 * @param boxes one for each image.
 * @param fill what all channels are inside.
 * @throws EspalierError `augmentation/length`: not one box for each image.
 * @example
 * const cut = cutBoxes(image, [{ top: 2, bottom: 6, left: 0, right: 4 }], 0.5);
 */
export function cutBoxes(images: Tensor4D, boxes: readonly Box[], fill = 0): Tensor4D {
  checkOnePerExample('cutBoxes', images, { boxes });
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
