import {
  boxAround,
  cropImages,
  cutBoxes,
  flipImages,
  mixExamples,
  pasteBoxes,
} from '@espalier/plugin-augmentation';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { distance, slowCrop, slowFlip, slowMix, slowPaste } from './reference.js';
import type { Images } from './support.js';

const side = (max: number) => fc.integer({ min: 1, max });

/** Images whose numbers are all different, of both types that images come in. */
const anyImages = fc
  .record({
    shape: fc.tuple(side(3), side(6), side(6), side(3)),
    dtype: fc.constantFrom('float32' as const, 'int32' as const),
  })
  .map(({ shape, dtype }) => ({
    shape,
    make: () =>
      tf.tidy(() => {
        const size = shape.reduce((a, b) => a * b, 1);
        return tf.cast(tf.reshape(tf.range(1, size + 1), shape) as tf.Tensor4D, dtype);
      }),
  }));

/** One of `arbitrary` for each image. */
const each = <T>(batch: number, arbitrary: fc.Arbitrary<T>) =>
  fc.array(arbitrary, { minLength: batch, maxLength: batch });

/** A centre and a size for boxes of images of these sides. */
const boxIn = (height: number, width: number) => {
  const below = (n: number) => fc.integer({ min: 0, max: n });
  return fc
    .tuple(below(height - 1), below(width - 1), below(height), below(width))
    .map(([row, column, rows, columns]) =>
      boxAround([row, column], [rows, columns], [height, width]),
    );
};

/** Values and type of what `fn` makes of images; nothing else may be left. */
function ran(make: () => tf.Tensor4D, fn: (images: tf.Tensor4D) => tf.Tensor4D) {
  const images = make();
  const before = tf.memory().numTensors;
  const result = fn(images);
  expect(tf.memory().numTensors - before).toBe(1);
  expect([result.dtype, result.shape]).toEqual([images.dtype, images.shape]);
  const values = { given: images.arraySync() as Images, made: result.arraySync() as Images };
  tf.dispose([images, result]);
  return values;
}

describe.each(['cpu', 'wasm'] as const)('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('a crop is a slice of the padded image', () => {
    const cases = anyImages.chain(({ shape, make }) =>
      fc
        .record({
          padding: fc.integer({ min: 0, max: Math.min(shape[1], shape[2]) - 1 }),
          mode: fc.constantFrom('zero' as const, 'reflect' as const),
        })
        .chain((options) => {
          const place = fc.integer({ min: 0, max: 2 * options.padding });
          return each(shape[0], fc.tuple(place, place)).map((offsets) => ({
            make,
            options,
            offsets,
          }));
        }),
    );
    fc.assert(
      fc.property(cases, ({ make, options, offsets }) => {
        const { given, made } = ran(make, (images) => cropImages(images, offsets, options));
        expect(made).toEqual(slowCrop(given, offsets, options));
      }),
    );
  });

  test('a flip reverses rows and columns, and two are none', () => {
    const cases = anyImages.chain(({ shape, make }) =>
      each(shape[0], fc.record({ horizontal: fc.boolean(), vertical: fc.boolean() })).map(
        (flips) => ({ make, flips }),
      ),
    );
    fc.assert(
      fc.property(cases, ({ make, flips }) => {
        const { given, made } = ran(make, (images) => flipImages(images, flips));
        expect(made).toEqual(slowFlip(given, flips));
        const again = tf.tidy(() => flipImages(tf.tensor4d(made), flips).arraySync());
        expect(again).toEqual(given);
      }),
    );
  });

  test('a box is filled, or taken from the partner, and nothing else changes', () => {
    const cases = anyImages.chain(({ shape, make }) => {
      const [batch, height, width] = shape;
      return fc.record({
        make: fc.constant(make),
        boxes: each(batch, boxIn(height, width)),
        partners: each(batch, fc.integer({ min: 0, max: batch - 1 })),
      });
    });
    fc.assert(
      fc.property(cases, ({ make, boxes, partners }) => {
        const cut = ran(make, (images) => cutBoxes(images, boxes, 7));
        const filled = slowPaste(cut.given, boxes, () => cut.given[0]![0]![0]!.map(() => 7));
        expect(cut.made).toEqual(filled);
        const pasted = ran(make, (images) => pasteBoxes(images, partners, boxes));
        const taken = (i: number, row: number, column: number) =>
          pasted.given[partners[i]!]![row]![column]!;
        expect(pasted.made).toEqual(slowPaste(pasted.given, boxes, taken));
      }),
    );
  });

  test('mixtures are those of plain loops; of distributions they are distributions', () => {
    const row = fc
      .tuple(...[0, 1, 2].map(() => fc.integer({ min: 1, max: 9 })))
      .map((counts) => counts.map((count) => count / counts.reduce((a, b) => a + b)));
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    const cases = fc.integer({ min: 1, max: 5 }).chain((batch) =>
      fc.record({
        rows: each(batch, row),
        partners: each(batch, fc.integer({ min: 0, max: batch - 1 })),
        shares: each(batch, share),
      }),
    );
    fc.assert(
      fc.property(cases, ({ rows, partners, shares }) => {
        const mixed = tf.tidy(() => mixExamples(tf.tensor2d(rows), partners, shares).arraySync());
        const slow = rows.map((own, i) => slowMix(own, rows[partners[i]!], shares[i]!));
        expect(distance(mixed, slow)).toBeLessThan(1e-6);
        mixed.forEach((q) => {
          expect(Math.min(...q)).toBeGreaterThanOrEqual(0);
          expect(q.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
        });
      }),
    );
  });
});

test('a box has its size where the image has room for it, and is clipped where not', () => {
  expect(boxAround([4, 5], [4, 3], [9, 9])).toEqual({ top: 2, bottom: 6, left: 4, right: 7 });
  expect(boxAround([0, 8], [4, 3], [9, 9])).toEqual({ top: 0, bottom: 2, left: 7, right: 9 });
  expect(boxAround([8, 0], [9, 9], [9, 9])).toEqual({ top: 4, bottom: 9, left: 0, right: 5 });
});
