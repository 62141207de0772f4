import { keyedRng } from '@espalier/core';
import type { RawBatch } from '@espalier/core';
import {
  cutBoxes,
  cutmix,
  cutout,
  drawBeta,
  drawCutmix,
  drawCutout,
  drawMixup,
  mixExamples,
  mixup,
  pasteBoxes,
} from '@espalier/plugin-augmentation';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { slowMix, slowPaste } from './reference.js';
import { numberedImages, steps } from './support.js';
import type { Images, Streams } from './support.js';

const CLASSES = [0, 1, 2, 1];
const images = () => tf.tidy(() => tf.div(numberedImages(CLASSES.length), 64)) as tf.Tensor4D;
const labels = () => tf.tidy(() => tf.cast(tf.oneHot(CLASSES, 3), 'float32')) as tf.Tensor2D;
const batch = (): RawBatch => ({ x: images(), y: labels() });

beforeAll(() => onBackend('cpu'));

/** Images and targets as a plugin leaves them, and as functions make them of the same stream. */
async function both(
  plugin: Parameters<typeof steps>[0][number],
  stream: string,
  make: (x: tf.Tensor4D, y: tf.Tensor2D, random: ReturnType<typeof keyedRng>) => tf.Tensor[],
) {
  const streams: Streams = new Map();
  const [seen] = await steps([plugin], [batch], {}, streams);
  const made = tf.tidy(() =>
    make(images(), labels(), streams.get(stream)!).map((tensor) => tensor.arraySync()),
  );
  return { seen: [seen!.x, seen!.y].slice(0, made.length), made };
}

describe('functions alone make of a stream what the plugin makes of it, to the bit', () => {
  test.each(['batch', 'example'] as const)('mixup, one λ for each %s', async (per) => {
    const { seen, made } = await both(mixup({ alpha: 1, per }), 'mixup mix 0', (x, y, random) => {
      const { partners, shares } = drawMixup(CLASSES.length, random, { alpha: 1, per });
      return [mixExamples(x, partners, shares), mixExamples(y, partners, shares)];
    });
    expect(made).toEqual(seen);
  });

  test.each(['batch', 'example'] as const)('cutmix, one box for each %s', async (per) => {
    const { seen, made } = await both(cutmix({ per }), 'cutmix mix 0', (x, y, random) => {
      const { partners, shares, boxes } = drawCutmix(x.shape, random, { per });
      return [pasteBoxes(x, partners, boxes), mixExamples(y, partners, shares)];
    });
    expect(made).toEqual(seen);
  });

  test('cutout', async () => {
    const { seen, made } = await both(
      cutout({ size: 3, fill: 2 }),
      'cutout centres 0',
      (x, _, random) => [cutBoxes(x, drawCutout(x.shape, random, 3), 2)],
    );
    expect(made).toEqual(seen);
  });
});

test('mixup by plain loops', () => {
  const random = keyedRng(1, 'mixup');
  const shares = CLASSES.map(() => drawBeta(0.4, random));
  const partners = [...random.permutation(CLASSES.length)];
  const drawn = drawMixup(4, keyedRng(1, 'mixup'), { alpha: 0.4, per: 'example' });
  expect({ shares: drawn.shares, partners: [...drawn.partners] }).toEqual({ shares, partners });
  const [given, mixed] = tf.tidy(() => [
    labels().arraySync(),
    mixExamples(labels(), drawn.partners, drawn.shares).arraySync(),
  ]);
  const expected = given!.map((row, i) => slowMix(row, given![partners[i]!], shares[i]!));
  mixed!.flat().forEach((value, i) => {
    expect(value).toBeCloseTo((expected.flat() as number[])[i]!, 6);
  });
});

test('cutmix by plain loops: what stays is the share of pixels outside the box', () => {
  const x = images();
  const drawn = drawCutmix(x.shape, keyedRng(5, 'cutmix'), { per: 'example' });
  const result = pasteBoxes(x, drawn.partners, drawn.boxes);
  const [mixed, given] = [result.arraySync(), x.arraySync()];
  tf.dispose([x, result]);
  const { partners, boxes, shares } = drawn;
  const from = (image: number, row: number, column: number) =>
    (given as Images)[partners[image]!]![row]![column]!;
  expect(mixed).toEqual(slowPaste(given as Images, boxes, from));
  boxes.forEach(({ top, bottom, left, right }, i) => {
    expect(shares[i]).toBeCloseTo(1 - ((bottom - top) * (right - left)) / (5 * 7), 12);
  });
});

test('examples of weight 0 stay as they are', () => {
  const { partners } = drawMixup(4, keyedRng(2, 'mixup'), { weights: [1, 0, 1, 1] });
  expect(partners[1]).toBe(1);
});

test('lists of another length are refused by name', () => {
  tf.tidy(() => {
    const x = images();
    const box = { top: 0, bottom: 1, left: 0, right: 1 };
    expect(() => mixExamples(x, [0, 1, 2, 3], [0.5])).toThrow(
      /mixExamples.*'shares'.*Received: 1/s,
    );
    expect(() => pasteBoxes(x, [0], [box])).toThrow(/pasteBoxes.*'partners'/s);
    expect(() => cutBoxes(x, [box])).toThrow(/cutBoxes.*'boxes'.*each of the 4 examples/s);
  });
});
