/** Fashion-MNIST (Xiao et al. 2017) as sources: a configuration names `./data.ts#train` and so on. */
import { join } from 'node:path';
import { EspalierError } from '@espalier/core';
import type { Source } from '@espalier/core';
import { testSplit, trainSplit, validationSplit } from '../images/splits.js';
import type { LabelledImages, SplitOptions, TrainSplitOptions } from '../images/splits.js';
import { readIdx } from './idx.js';

const CLASSES = 10;

interface Folder {
  /** Of the four IDX files, packed by gzip or not; default `runs/data/fashion-mnist`. */
  readonly dir?: string;
}

/**
 * Training images `[batch, 28, 28, 1]` in 0…1 and class ids `[batch]`, in a new order each epoch.
 *
 * @throws EspalierError `fashion-mnist/missing`, `fashion-mnist/format`, `images/count`, `images/class`.
 */
export function train({ dir, ...options }: TrainSplitOptions & Folder = {}): Source {
  return trainSplit(readImages(dir, 'train'), options);
}

/** As {@link train}, in order, of images that {@link train} never takes. */
export function validation({ dir, ...options }: SplitOptions & Folder = {}): Source {
  return validationSplit(readImages(dir, 'train'), options);
}

/** As {@link train}, in order, of the test files. */
export function test({ dir, ...options }: SplitOptions & Folder = {}): Source {
  return testSplit(readImages(dir, 't10k'), options);
}

function readImages(
  dir = join('runs', 'data', 'fashion-mnist'),
  files: 'train' | 't10k',
): LabelledImages {
  const pixels = readIdx(dir, `${files}-images-idx3-ubyte`, 3);
  const labels = readIdx(dir, `${files}-labels-idx1-ubyte`, 1);
  const [count, ...size] = pixels.shape;
  const wrong =
    String(size) !== '28,28'
      ? `images of ${size.join(' × ')} pixels instead of 28 × 28`
      : count !== labels.shape[0]
        ? `${count} images, but ${labels.shape[0]} labels`
        : labels.data.some((label) => label >= CLASSES) && 'labels above 9';
  if (!wrong) {
    return { shape: [28, 28, 1], pixels: pixels.data, labels: labels.data, classes: CLASSES };
  }
  throw new EspalierError('fashion-mnist/format', {
    problem: `the files ${files}-… in ${dir} hold ${wrong}`,
    fix: 'They are not those of Fashion-MNIST: run npm run setup:fashion-mnist.',
  });
}
