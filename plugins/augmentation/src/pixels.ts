import { EspalierError } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';

/** Numbers the pixels of a batch. */
export type PixelAt = (image: number, row: number, column: number) => number;

/** In place of a pixel's number: the fill. */
export const FILL = -1;

/**
 * Refuses lists that do not have one entry for each example.
 *
 * @throws EspalierError `augmentation/length`.
 */
export function checkOnePerExample(
  name: string,
  { shape }: Tensor,
  lists: Readonly<Record<string, ArrayLike<unknown>>>,
): void {
  const wrong = Object.entries(lists).find(([, { length }]) => length !== shape[0]);
  if (!wrong) return;
  throw new EspalierError('augmentation/length', {
    problem: `${name}() needs one entry of '${wrong[0]}' for each of the ${shape[0]} examples`,
    received: wrong[1].length,
    fix: 'Draw for the batch that you change: its first axis is the examples.',
  });
}

/**
 * Images made of pixels of `images`, as they are: no number is computed, so a pixel that moves keeps
 * its bits. One gather.
 *
 * @param images `[batch, height, width, channels]`.
 * @param from tells the pixel that comes to a place, by its number `at(image, row, column)`, or `FILL`.
 * @param fill what all channels of `FILL` are.
 */
export function rearrange(
  images: Tensor4D,
  from: (at: PixelAt, image: number, row: number, column: number) => number,
  fill = 0,
): Tensor4D {
  const [batch, height, width, channels] = images.shape;
  const at: PixelAt = (image, row, column) => (image * height + row) * width + column;
  const sources = new Int32Array(batch * height * width);
  for (let image = 0; image < batch; image++) {
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const source = from(at, image, row, column);
        sources[at(image, row, column)] = source === FILL ? sources.length : source;
      }
    }
  }
  return tf.tidy(() => {
    const pixels = tf.reshape(images, [sources.length, channels]);
    const withFill = tf.concat([pixels, tf.fill([1, channels], fill, images.dtype as 'float32')]);
    return tf.reshape(tf.gather(withFill, tf.tensor1d(sources, 'int32')), images.shape);
  });
}
