/** CIFAR-10 and CIFAR-100 (Krizhevsky 2009), binary version, as sources: `./data.ts#train` and so on. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EspalierError } from '@espalier/core';
import type { Source } from '@espalier/core';
import { testSplit, trainSplit, validationSplit } from '../images/splits.js';
import type { LabelledImages, SplitOptions, TrainSplitOptions } from '../images/splits.js';

const SIDE = 32;
const PLANE = SIDE * SIDE;
const CHANNELS = 3;

interface Kind {
  readonly classes: number;
  /** Bytes before the pixels; the last one is the label. */
  readonly labelBytes: number;
  readonly train: readonly string[];
  readonly test: readonly string[];
}

/** Told apart by the names of their files. */
const KINDS: readonly Kind[] = [
  {
    classes: 10,
    labelBytes: 1,
    train: [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`),
    test: ['test_batch.bin'],
  },
  { classes: 100, labelBytes: 2, train: ['train.bin'], test: ['test.bin'] },
];

interface Folder {
  /** `cifar-10-batches-bin` or `cifar-100-binary`, unpacked. */
  readonly dir: string;
}

/**
 * Training images `[batch, 32, 32, 3]` in 0…1 and class ids `[batch]` (of CIFAR-100 the fine ones), in a
 * new order each epoch.
 *
 * @throws EspalierError `cifar/missing`, `cifar/format`, `images/count`, `images/class`.
 */
export function train({ dir, ...options }: TrainSplitOptions & Folder): Source {
  return trainSplit(readImages(dir, 'train'), options);
}

/** As {@link train}, in order, of images that {@link train} never takes. */
export function validation({ dir, ...options }: SplitOptions & Folder): Source {
  return validationSplit(readImages(dir, 'train'), options);
}

/** As {@link train}, in order, of the test files. */
export function test({ dir, ...options }: SplitOptions & Folder): Source {
  return testSplit(readImages(dir, 'test'), options);
}

function readImages(dir: string | undefined, split: 'train' | 'test'): LabelledImages {
  if (dir === undefined) throw noFolder();
  const kind = KINDS.find((each) => each[split].every((file) => existsSync(join(dir, file))));
  if (!kind) throw missing(dir, split);
  const record = kind.labelBytes + CHANNELS * PLANE;
  const files = kind[split].map((file) => readRecords(join(dir, file), record));
  const count = files.reduce((sum, bytes) => sum + bytes.length / record, 0);
  const pixels = new Uint8Array(count * CHANNELS * PLANE);
  const labels = new Uint8Array(count);
  let image = 0;
  for (const bytes of files) {
    for (let at = 0; at < bytes.length; at += record, image++) {
      labels[image] = bytes[at + kind.labelBytes - 1]!;
      const planes = bytes.subarray(at + kind.labelBytes, at + record);
      planes.forEach((value, i) => {
        const [channel, position] = [Math.floor(i / PLANE), i % PLANE];
        pixels[(image * PLANE + position) * CHANNELS + channel] = value;
      });
    }
  }
  const highest = labels.reduce((a, b) => Math.max(a, b), 0);
  if (highest >= kind.classes)
    throw damaged(
      dir,
      `has a label ${highest}, but CIFAR-${kind.classes} has ${kind.classes} classes`,
    );
  return { shape: [SIDE, SIDE, CHANNELS], pixels, labels, classes: kind.classes };
}

function readRecords(path: string, record: number): Uint8Array {
  const bytes = readFileSync(path);
  if (bytes.length > 0 && bytes.length % record === 0) return bytes;
  throw damaged(path, `has ${bytes.length} bytes, which are no images of ${record} each`);
}

const FIX =
  'Unpack the “binary version (suitable for C programs)” from https://www.cs.toronto.edu/~kriz/cifar.html, and give its folder as dir.';

/** A configuration may leave out what the types ask for. */
function noFolder(): EspalierError {
  return new EspalierError('cifar/missing', { problem: 'the option dir is missing', fix: FIX });
}

function missing(dir: string, split: 'train' | 'test'): EspalierError {
  const names = KINDS.map((kind) => `${kind[split].join(', ')} (CIFAR-${kind.classes})`);
  return new EspalierError('cifar/missing', {
    problem: `${resolve(dir)} has neither ${names.join(' nor ')}`,
    fix: FIX,
  });
}

function damaged(path: string, what: string): EspalierError {
  return new EspalierError('cifar/format', {
    problem: `${path} ${what}`,
    fix: 'Unpack the binary version of CIFAR again.',
  });
}
