import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyedRng } from '@espalier/core';
import type { Source } from '@espalier/core';
import { onBackend } from '@espalier/testkit';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as data from '../../examples/cifar/data.js';

let dir: string;
beforeAll(() => onBackend('cpu'));
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'cifar-test-'))));
afterEach(() => rmSync(dir, { recursive: true }));

/** Pixel 2·32 + 3 of image i is (i, 50, 250); all else is black. */
function put(file: string, images: number, from: number, labels: (i: number) => number[]): void {
  const records = Array.from({ length: images }, (_, k) => {
    const planes = new Uint8Array(3072);
    [from + k, 50, 250].forEach((value, channel) => (planes[channel * 1024 + 67] = value));
    return Buffer.concat([Buffer.from(labels(from + k)), planes]);
  });
  writeFileSync(join(dir, file), Buffer.concat(records));
}

function putCifar10(): void {
  for (let k = 0; k < 5; k++) put(`data_batch_${k + 1}.bin`, 24, 24 * k, (i) => [i % 10]);
  put('test_batch.bin', 20, 0, (i) => [i % 10]);
}

async function imagesOf(source: Source) {
  const rows: { image: number; label: number }[] = [];
  for await (const { x, y } of source.iterate({ epoch: 0, skip: 0, stream: keyedRng(0) })) {
    const [pixels, labels] = [x as Tensor, y as Tensor];
    expect(pixels.shape.slice(1)).toEqual([32, 32, 3]);
    const values = pixels.dataSync();
    labels.dataSync().forEach((label, i) => {
      const at = (i * 1024 + 67) * 3;
      const [red, green, blue] = values.subarray(at, at + 3);
      expect([green, blue]).toEqual([Math.fround(50 / 255), Math.fround(250 / 255)]);
      rows.push({ image: Math.round(red! * 255), label });
    });
    tf.dispose([pixels, labels]);
  }
  return rows;
}

describe('CIFAR', () => {
  test('CIFAR-10: pixels and labels are those of the files; splits share no image', async () => {
    putCifar10();
    const splits = [
      data.train({ dir, images: 60 }),
      data.train({ dir, images: 40, skip: 60 }),
      data.validation({ dir, images: 20 }),
    ];
    const rows = (await Promise.all(splits.map(imagesOf))).flat();
    rows.forEach(({ image, label }) => expect(label).toBe(image % 10));
    expect(rows.map(({ image }) => image).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 120 }, (_, i) => i),
    );
    expect(await imagesOf(data.test({ dir, images: 20 }))).toHaveLength(20);
  });

  test('CIFAR-100: the fine label counts', async () => {
    put('train.bin', 200, 0, (i) => [7, i % 100]);
    put('test.bin', 100, 0, (i) => [7, i % 100]);
    const rows = await imagesOf(data.test({ dir, images: 100 }));
    rows.forEach(({ image, label }) => expect(label).toBe(image));
  });

  test('without a folder, as a configuration may name it, is an error that says so', () => {
    expect(() => data.train({} as never)).toThrow(/option dir is missing.*Unpack.*cifar\/missing/);
  });

  test.each<[string, () => void, RegExp]>([
    [
      'a missing file',
      () => rmSync(join(dir, 'data_batch_3.bin')),
      /neither data_batch_1.bin.*nor train.bin.*binary version.*cifar\/missing/,
    ],
    [
      'a file that is cut off',
      () => writeFileSync(join(dir, 'data_batch_3.bin'), new Uint8Array(3000)),
      /data_batch_3.bin has 3000 bytes, which are no images of 3073 each.*cifar\/format/,
    ],
    [
      'a class without images',
      () => [1, 2, 3, 4, 5].forEach((k) => put(`data_batch_${k}.bin`, 24, 0, (i) => [i % 9])),
      /no image of class 9.*images\/class/,
    ],
    [
      'an unknown class',
      () => put('data_batch_3.bin', 24, 48, () => [10]),
      /has a label 10, but CIFAR-10 has 10 classes.*cifar\/format/,
    ],
  ])('%s is an error that says so', (_, spoil, message) => {
    putCifar10();
    spoil();
    expect(() => data.train({ dir, images: 20 })).toThrow(message);
  });
});
