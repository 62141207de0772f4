/** Fashion-MNIST (Xiao et al. 2017) as sources: a configuration names `./data.ts#train` and so on. */
import { join } from 'node:path';
import { EspalierError, parseOptions } from '@espalier/core';
import type { Source } from '@espalier/core';
import * as z from 'zod';
import {
  splitOptions,
  testSplit,
  trainSplit,
  trainSplitOptions,
  validationSplit,
} from '../images/splits.js';
import type { LabelledImages } from '../images/splits.js';
import { readIdx } from './idx.js';

const CLASSES = 10;
const PIXELS = 28 * 28;

const folder = {
  /** Of the four IDX files, packed by gzip or not; default `runs/data/fashion-mnist`. */
  dir: z.string().optional(),
};
const options = splitOptions.extend(folder);
const trainOptions = trainSplitOptions.extend(folder);

/**
 * Training images `[batch, 28, 28, 1]` in 0…1 and class ids `[batch]`, in a new order each epoch.
 *
 * @throws EspalierError `fashion-mnist/missing`, `fashion-mnist/format`, `images/count`, `images/class`,
 * `options/invalid`.
 */
export function train(given: z.input<typeof trainOptions> = {}): Source {
  const parsed = parseOptions('train of Fashion-MNIST', trainOptions, given);
  return trainSplit(readImages(parsed.dir, 'train'), parsed);
}

/** As {@link train}, in order, of images that {@link train} never takes. */
export function validation(given: z.input<typeof options> = {}): Source {
  const parsed = parseOptions('validation of Fashion-MNIST', options, given);
  return validationSplit(readImages(parsed.dir, 'train'), parsed);
}

/** As {@link train}, in order, of the test files. */
export function test(given: z.input<typeof options> = {}): Source {
  const parsed = parseOptions('test of Fashion-MNIST', options, given);
  return testSplit(readImages(parsed.dir, 't10k'), parsed);
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
    const image = (i: number) =>
      Float32Array.from(pixels.data.subarray(i * PIXELS, (i + 1) * PIXELS), (value) => value / 255);
    return { shape: [28, 28, 1], image, labels: labels.data, classes: CLASSES };
  }
  throw new EspalierError('fashion-mnist/format', {
    problem: `the files ${files}-… in ${dir} hold ${wrong}`,
    fix: 'They are not those of Fashion-MNIST: run npm run setup:fashion-mnist.',
  });
}
