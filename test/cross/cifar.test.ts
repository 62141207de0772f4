import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { keyedRng } from '@espalier/core';
import type { Source } from '@espalier/core';
import { onBackend } from '@espalier/testkit';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import * as data from '../../examples/cifar/data.js';
import { runMissing } from '../../examples/metadistiller/records.js';

let dir: string;
beforeAll(() => onBackend('cpu'));
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'cifar-test-'))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

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

const numbers = (rows: readonly { image: number }[]) => rows.map(({ image }) => image);

describe('CIFAR', () => {
  const cifar100 = () => {
    put('train.bin', 200, 0, (i) => [7, i % 100]);
    put('test.bin', 100, 0, (i) => [7, i % 100]);
  };

  test('CIFAR-10: pixels and labels are those of the files; splits share no image', async () => {
    putCifar10();
    const splits = [
      data.train({ dir, perClass: 6 }),
      data.train({ dir, perClass: 4, skip: 6 }),
      data.validation({ dir, perClass: 2 }),
    ];
    const rows = (await Promise.all(splits.map(imagesOf))).flat();
    rows.forEach(({ image, label }) => expect(label).toBe(image % 10));
    expect(rows.map(({ image }) => image).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 120 }, (_, i) => i),
    );
    expect(await imagesOf(data.test({ dir }))).toHaveLength(20);
  });

  test('CIFAR-100: the fine label counts', async () => {
    put('train.bin', 200, 0, (i) => [7, i % 100]);
    put('test.bin', 100, 0, (i) => [7, i % 100]);
    const rows = await imagesOf(data.test({ dir, classes: 100 }));
    rows.forEach(({ image, label }) => expect(label).toBe(image));
  });

  test('each draw takes other images, the same in every run, and never those of validation', async () => {
    putCifar10();
    const held = numbers(await imagesOf(data.validation({ dir })));
    const drawn = async (draw: number) =>
      numbers(await imagesOf(data.train({ dir, perClass: 4, draw }))).toSorted();
    const draws = await Promise.all([drawn(0), drawn(1), drawn(2), drawn(1)]);
    expect(new Set(draws.map(String)).size).toBe(3);
    expect(draws[3]).toEqual(draws[1]);
    for (const images of draws) {
      expect(images.filter((image) => held.includes(image))).toEqual([]);
      const ofClass = Array.from({ length: 10 }, (_, k) => images.filter((i) => i % 10 === k));
      ofClass.forEach(({ length }) => expect(length).toBe(4));
    }
  });

  test('smaller images are means of squares; normalized ones have the mean and deviation of the data set taken away', async () => {
    putCifar10();
    const first = async (options: object) => {
      const source = data.test({ dir, ...options });
      for await (const { x } of source.iterate({ epoch: 0, skip: 0, stream: keyedRng(0) })) {
        const [values, { shape }] = [(x as Tensor).dataSync(), x as Tensor];
        tf.dispose(x as Tensor);
        return { values, shape };
      }
      throw new Error('there is no batch');
    };
    const { values, shape } = await first({ side: 16 });
    expect(shape).toEqual([20, 16, 16, 3]);
    const at = (1 * 16 + 1) * 3;
    expect(values[at + 1]).toBeCloseTo(50 / 4 / 255, 7);
    expect(values[at + 2]).toBeCloseTo(250 / 4 / 255, 7);
    expect(values.filter((value, i) => i % 3 === 1 && value > 0)).toHaveLength(20);
    const normal = await first({ side: 16, normalize: true });
    expect(normal.values[at + 1]).toBeCloseTo((50 / 4 / 255 - 0.4822) / 0.2435, 5);
    expect(normal.values[2]).toBeCloseTo(-0.4465 / 0.2616, 5);
  });

  test('the environment variable DATA names the folder where dir does not; without both, an error says so', () => {
    cifar100();
    vi.stubEnv('DATA', dir);
    expect(data.test().batchesPerEpoch).toBe(1);
    vi.stubEnv('DATA', undefined);
    expect(() => data.test()).toThrow(
      /neither the option dir nor the environment variable DATA.*Unpack.*cifar\/missing/,
    );
    vi.unstubAllEnvs();
  });

  test.each<[string, () => unknown, RegExp]>([
    [
      'a side that divides no image',
      () => data.test({ dir, side: 12 }),
      /test of CIFAR.*side.*options\/invalid/,
    ],
    [
      'a misspelt option',
      () => data.test({ dir, images: 20 } as never),
      /unknown option 'images'.*options\/invalid/,
    ],
    [
      'a draw that is no seed',
      () => data.train({ dir, draw: -1 }),
      /train of CIFAR.*draw.*options\/invalid/,
    ],
    [
      'more images of each class than there are',
      () => data.train({ dir, perClass: 11 }),
      /perClass may be at most 10: so many images of each class there are. Received: 11.*images\/count/,
    ],
    [
      'more after those that are left out',
      () => data.train({ dir, perClass: 5, skip: 6 }),
      /perClass may be at most 4:.*images\/count/,
    ],
    [
      'the other data set',
      () => data.test({ dir, classes: 100 }),
      /holds CIFAR-10, but CIFAR-100 is asked for.*cifar\/kind/,
    ],
  ])('%s is refused', (_, read, message) => {
    putCifar10();
    expect(read).toThrow(message);
  });

  test.each<[string, () => void, RegExp]>([
    [
      'a file that is cut short',
      () => writeFileSync(join(dir, 'train.bin'), new Uint8Array(3074 * 200 - 1)),
      /train.bin has 614799 bytes.*3074 bytes of an image.*cut short.*cifar\/format/,
    ],
    [
      'a file of CIFAR-10 under the name',
      () => put('train.bin', 200, 0, () => [9]),
      /holds images of CIFAR-10, not of CIFAR-100.*cifar\/format/,
    ],
    [
      'an empty file',
      () => writeFileSync(join(dir, 'train.bin'), ''),
      /train.bin is empty.*cifar\/format/,
    ],
    [
      'a packed file',
      () => writeFileSync(join(dir, 'train.bin'), gzipSync('pixels')),
      /train.bin is packed by gzip.*cifar\/format/,
    ],
    [
      'a fine label out of range',
      () => put('train.bin', 200, 0, (i) => [7, i]),
      /fine label 100 at image 100; CIFAR-100 has fine labels from 0 to 99.*cifar\/format/,
    ],
    [
      'a coarse label out of range',
      () => put('train.bin', 200, 0, (i) => [20, i % 100]),
      /coarse label 20 at image 0.*from 0 to 19.*cifar\/format/,
    ],
  ])('of CIFAR-100, %s is refused', (_, spoil, message) => {
    cifar100();
    spoil();
    expect(() => data.train({ dir, classes: 100 })).toThrow(message);
  });

  test.each<[string, () => void, RegExp]>([
    [
      'an archive',
      () => writeFileSync(join(dir, 'cifar-100-binary.tar.gz'), ''),
      /but the archive cifar-100-binary.tar.gz, which is not unpacked/,
    ],
    [
      'the Python version',
      () => writeFileSync(join(dir, 'train'), ''),
      /but the file train of the Python version/,
    ],
    [
      'the folder above',
      () => mkdirSync(join(dir, 'cifar-100-binary')),
      /but the folder cifar-100-binary: give that/,
    ],
    ['nothing', () => rmSync(dir, { recursive: true }), /there is no folder/],
    [
      'a file',
      () => (rmSync(dir, { recursive: true }), writeFileSync(dir, '')),
      /is a file, not a folder/,
    ],
    ['something else', () => undefined, /has no train.bin \(CIFAR-100\)\./],
  ])('a folder with %s is refused by what it has', (_, make, message) => {
    make();
    expect(() => data.train({ dir, classes: 100 })).toThrow(message);
    expect(() => data.train({ dir })).toThrow(/cifar\/missing/);
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
      /data_batch_3.bin has 3000 bytes.*3073 bytes of an image.*cifar\/format/,
    ],
    [
      'a class without images',
      () => [1, 2, 3, 4, 5].forEach((k) => put(`data_batch_${k}.bin`, 24, 0, (i) => [i % 9])),
      /no image of class 9.*images\/class/,
    ],
    [
      'an unknown class',
      () => put('data_batch_3.bin', 24, 48, () => [10]),
      /data_batch_3.bin has the label 10 at image 0; CIFAR-10 has labels from 0 to 9.*cifar\/format/,
    ],
  ])('%s is an error that says so', (_, spoil, message) => {
    putCifar10();
    spoil();
    expect(() => data.train({ dir })).toThrow(message);
  });
});

describe('the study on CIFAR-100', () => {
  test('results are added to a file, and what it holds is not run again', async () => {
    vi.spyOn(console, 'error').mockReturnValue();
    const path = join(dir, 'results.jsonl');
    const ran: number[] = [];
    const measure = async ({ epochs }: { epochs: number }) => {
      ran.push(epochs);
      return { accuracy: epochs / 100 };
    };
    const settings = (...epochs: number[]) =>
      epochs.map((each) => ({ epochs: each, row: 'plain' }));
    await runMissing(path, 'one machine', settings(40, 20), measure);
    const lines = await runMissing(path, 'another', settings(20, 40, 60), measure);
    expect(ran).toEqual([40, 20, 60]);
    expect(lines.map(({ accuracy, machine }) => [accuracy, machine])).toEqual([
      [0.2, 'one machine'],
      [0.4, 'one machine'],
      [0.6, 'another'],
    ]);
  });

  test('a file that a killed command cut short is refused by its line', async () => {
    const path = join(dir, 'results.jsonl');
    writeFileSync(path, '{"epochs":20}\n{"epo');
    await expect(runMissing(path, '', [{ epochs: 40 }], async () => ({}))).rejects.toThrow(
      /results.jsonl.*line 2.*metadistiller\/results/,
    );
  });
});
