import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { keyedRng } from '@espalier/core';
import type { Source } from '@espalier/core';
import { onBackend } from '@espalier/testkit';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as data from '../../examples/fashion-mnist/data.js';

const folder = mkdtempSync(join(tmpdir(), 'fashion-mnist-test-'));
afterAll(() => rmSync(folder, { recursive: true }));
beforeAll(() => onBackend('cpu'));

function idx(shape: readonly number[], bytes: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.writeUInt32BE(0x800 + shape.length);
  shape.forEach((size, i) => header.writeUInt32BE(size, 4 + 4 * i));
  return Buffer.concat([header, bytes]);
}

const put = (name: string, content: Uint8Array) => writeFileSync(join(folder, name), content);

/** Images of label i % 10 whose first pixels are label and number, so that each can be told. */
function putImages(files: string, count: number): void {
  const pixels = new Uint8Array(count * 784);
  for (let i = 0; i < count; i++) pixels.set([i % 10, i], i * 784);
  put(`${files}-images-idx3-ubyte.gz`, gzipSync(idx([count, 28, 28], pixels)));
  put(
    `${files}-labels-idx1-ubyte`,
    idx(
      [count],
      Uint8Array.from({ length: count }, (_, i) => i % 10),
    ),
  );
}

beforeEach(() => {
  putImages('train', 120);
  putImages('t10k', 30);
});

/** Label in the pixels, number in the pixels and class id, image by image. */
async function imagesOf(source: Source, seed = 0) {
  const rows: { drawn: number; image: number; label: number }[] = [];
  for await (const { x, y } of source.iterate({ epoch: 0, skip: 0, stream: keyedRng(seed) })) {
    const [pixels, labels] = [x as Tensor, y as Tensor];
    expect(pixels.shape.slice(1)).toEqual([28, 28, 1]);
    const values = pixels.dataSync();
    labels.dataSync().forEach((label, i) => {
      const [drawn, image] = [0, 1].map((k) => Math.round(values[i * 784 + k]! * 255));
      rows.push({ drawn: drawn!, image: image!, label });
    });
    tf.dispose([pixels, labels]);
  }
  return rows;
}

const numbers = (rows: readonly { image: number }[]) => rows.map(({ image }) => image);

describe('Fashion-MNIST', () => {
  test('training and validation share no image, whatever is taken, and have all classes alike', async () => {
    const train = await imagesOf(data.train({ perClass: 10, dir: folder }));
    const validation = await imagesOf(data.validation({ perClass: 2, dir: folder }));
    const all = numbers([...train, ...validation]).sort((a, b) => a - b);
    expect(all).toEqual(Array.from({ length: 120 }, (_, i) => i));
    for (const rows of [train, validation]) {
      rows.forEach(({ drawn, label }) => expect(label).toBe(drawn));
      const counts = Array.from({ length: 10 }, (_, k) => rows.filter(({ label }) => label === k));
      expect(new Set(counts.map(({ length }) => length))).toEqual(new Set([rows.length / 10]));
    }
  });

  test('fewer images are some of the more, the same for every seed', async () => {
    const take = async (perClass: number, seed: number) =>
      numbers(await imagesOf(data.train({ perClass, dir: folder }), seed));
    const [few, again, more] = [await take(4, 1), await take(4, 2), await take(8, 1)];
    expect(few).not.toEqual(again);
    expect(few.toSorted()).toEqual(again.toSorted());
    expect(more).toEqual(expect.arrayContaining(few));
  });

  test('skip leaves out exactly the images of a source of that size', async () => {
    const few = numbers(await imagesOf(data.train({ perClass: 4, dir: folder })));
    const others = numbers(await imagesOf(data.train({ perClass: 6, skip: 4, dir: folder })));
    const all = numbers(await imagesOf(data.train({ perClass: 10, dir: folder })));
    expect([...few, ...others].toSorted()).toEqual(all.toSorted());
  });

  test.each([-1, 0.5, 10])('skip %d is refused', (skip) => {
    expect(() => data.train({ perClass: 1, skip, dir: folder })).toThrow(
      /skip may be at most 9.*images\/count|train of Fashion-MNIST.*skip.*options\/invalid/s,
    );
  });

  test('the test images are those of the test files, in one order', async () => {
    const rows = async (seed: number) =>
      numbers(await imagesOf(data.test({ perClass: 3, dir: folder }), seed));
    expect(await rows(1)).toEqual(await rows(2));
    expect((await rows(1)).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 30 }, (_, i) => i),
    );
  });

  test.each([0, 11, 2.5])('%d images of each class are refused', (perClass) => {
    expect(() => data.train({ perClass, dir: folder })).toThrow(
      /perClass may be at most 10.*images\/count|train of Fashion-MNIST.*perClass.*options\/invalid/s,
    );
  });

  test.each<[string, () => void, RegExp]>([
    [
      'a missing file',
      () => rmSync(join(folder, 'train-labels-idx1-ubyte')),
      /neither train-labels-idx1-ubyte nor .*npm run setup:fashion-mnist.*option dir.*missing/,
    ],
    [
      'a file that is no IDX',
      () => put('train-labels-idx1-ubyte', Buffer.from('<html>')),
      /does not begin as an IDX file of bytes in 1 dimension.*fashion-mnist\/format/,
    ],
    [
      'a file that is cut off',
      () => put('train-labels-idx1-ubyte', idx([120], new Uint8Array(7))),
      /should hold 120 bytes, but holds 7/,
    ],
    [
      'a broken archive',
      () => put('train-images-idx3-ubyte.gz', Buffer.from('nothing packed')),
      /train-images-idx3-ubyte.gz cannot be unpacked/,
    ],
    [
      'labels of other images',
      () => put('train-labels-idx1-ubyte', idx([60], new Uint8Array(60))),
      /120 images, but 60 labels/,
    ],
    [
      'images of another size',
      () => put('train-images-idx3-ubyte.gz', gzipSync(idx([1, 32, 32], new Uint8Array(1024)))),
      /images of 32 × 32 pixels/,
    ],
    [
      'unknown classes',
      () => put('train-labels-idx1-ubyte', idx([120], new Uint8Array(120).fill(10))),
      /labels above 9/,
    ],
  ])('%s is an error that says so', (_, spoil, message) => {
    spoil();
    expect(() => data.train({ perClass: 10, dir: folder })).toThrow(message);
  });
});
