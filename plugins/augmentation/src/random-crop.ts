import { definePlugin, EspalierError } from '@espalier/core';
import type { Tensor4D } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { imageInput, refuseMaps, withInput } from './inputs.js';
import { FILL, rearrange } from './pixels.js';

/** The first row and column of a crop in the padded image, from 0 to twice the padding. */
export type Offset = readonly [row: number, column: number];

/** Options of {@link cropImages}. */
export interface CropOptions {
  /** Pixels on each side, fewer than the image has. */
  readonly padding: number;
  /** `zero`, or `reflect`: what is inside, mirrored at the border, which is not repeated. */
  readonly mode: 'zero' | 'reflect';
}

/**
 * Random crops (as in He et al. 2016, arXiv 1512.03385, section 4.2): each training image is padded on
 * all sides, and a window of its own size is cut out of that at a random place.
 *
 * @throws EspalierError at setup, or at a batch where the model leaves sides open: `random-crop/input`,
 * `random-crop/images`, `random-crop/padding`, `random-crop/maps`.
 * @example
 * const plugins = [randomCrop({ padding: 4 }), randomFlip()];
 */
export const randomCrop = definePlugin({
  id: 'random-crop',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-augmentation#randomCrop',
  options: z.strictObject({
    padding: z.int().nonnegative().default(4),
    mode: z.enum(['zero', 'reflect']).default('zero'),
    input: z.string().optional(),
  }),
  effects: { 'batch:inputs': 'modify' },
  stateless: true,
  apply(ctx, { padding, mode, input }) {
    refuseMaps(ctx, 'random-crop');
    const imagesOf = imageInput(ctx, { plugin: 'random-crop', input }, (sides) =>
      checkPadding(padding, sides),
    );
    ctx.hooks.batch.tap((batch) => {
      const [name, images] = imagesOf(batch);
      const draw = ctx.random(`offsets ${batch.key}`);
      const place = () => Math.floor(draw() * (2 * padding + 1));
      const offsets = Array.from({ length: batch.size }, (): Offset => [place(), place()]);
      return withInput(batch, name, cropImages(images, offsets, { padding, mode }));
    });
  },
});

/**
 * Pads images and cuts a window of their own size out of each.
 *
 * @param images `[batch, height, width, channels]`.
 * @param offsets one for each image; `[padding, padding]` gives the image back.
 * @example
 * const shifted = cropImages(images, [[0, 8], [4, 4]], { padding: 4, mode: 'zero' });
 */
export function cropImages(
  images: Tensor4D,
  offsets: readonly Offset[],
  { padding, mode }: CropOptions,
): Tensor4D {
  const [, height, width] = images.shape;
  return rearrange(images, (at, image, row, column) => {
    const [top, left] = offsets[image]!;
    const y = padPosition(row + top - padding, height, mode);
    const x = padPosition(column + left - padding, width, mode);
    return y === FILL || x === FILL ? FILL : at(image, y, x);
  });
}

/** The position in the image that one beside it shows. */
function padPosition(position: number, side: number, mode: CropOptions['mode']): number {
  if (position >= 0 && position < side) return position;
  if (mode === 'zero') return FILL;
  return position < 0 ? -position : 2 * (side - 1) - position;
}

function checkPadding(padding: number, sides: readonly (number | null)[]): void {
  if (sides.every((side) => side === null || padding < side)) return;
  throw new EspalierError('random-crop/padding', {
    problem: `${padding} pixels of padding are too many for images of ${sides.join(' × ')}: a crop could miss the image`,
    received: padding,
    fix: 'Pad by fewer pixels than the shorter side has; an eighth of it is usual.',
  });
}
