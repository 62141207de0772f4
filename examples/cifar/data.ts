/** CIFAR-10 and CIFAR-100 (Krizhevsky 2009), binary version, as sources: `./data.ts#train` and so on. */
import { parseOptions } from '@espalier/core';
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
import { CHANNELS, readRecords, SIDE } from './files.js';
import type { Records } from './files.js';

const imageOptions = {
  /** `cifar-10-batches-bin` or `cifar-100-binary`, unpacked; default: what the environment variable `DATA` says. */
  dir: z.string().optional(),
  /** Refuses a folder of the other data set; default: takes what is there. */
  classes: z.union([z.literal(10), z.literal(100)]).optional(),
  /** Height and width of the images, which are means of squares of pixels; default 32. */
  side: z.union([1, 2, 4, 8, 16, 32].map((side) => z.literal(side))).default(SIDE),
  /** Whether each channel is shifted and scaled to mean 0 and standard deviation 1 over all training images; default false: 0…1. */
  normalize: z.boolean().default(false),
};
const options = splitOptions.extend(imageOptions);
const trainOptions = trainSplitOptions.extend(imageOptions);

/** Options of {@link validation} and {@link test}. */
export type CifarOptions = z.input<typeof options>;
/** Options of {@link train}. */
export type CifarTrainOptions = z.input<typeof trainOptions>;

/**
 * Training images `[batch, side, side, 3]` and class ids `[batch]` (of CIFAR-100 the fine ones), in a
 * new order each epoch.
 *
 * @throws EspalierError `cifar/missing`, `cifar/kind`, `cifar/format`, `images/count`, `images/class`,
 * `options/invalid`.
 */
export function train(given: CifarTrainOptions = {}): Source {
  const parsed = parseOptions('train of CIFAR', trainOptions, given);
  return trainSplit(imagesOf('train', parsed), parsed);
}

/** As {@link train}, in order, of images that {@link train} never takes, whatever its draw. */
export function validation(given: CifarOptions = {}): Source {
  const parsed = parseOptions('validation of CIFAR', options, given);
  return validationSplit(imagesOf('train', parsed), parsed);
}

/** As {@link train}, in order, of the test files. */
export function test(given: CifarOptions = {}): Source {
  const parsed = parseOptions('test of CIFAR', options, given);
  return testSplit(imagesOf('test', parsed), parsed);
}

function imagesOf(
  split: 'train' | 'test',
  { dir = process.env['DATA'], classes, side, normalize }: z.output<typeof options>,
): LabelledImages {
  const records = readRecords(dir, split, classes);
  const [shift, scale] = normalization(records, normalize);
  const places = listPlaces(side);
  return {
    shape: [side, side, CHANNELS],
    labels: records.labels,
    classes: records.kind.classes,
    image: (position) =>
      shrink(records.planes[position]!, places).map(
        (value, i) => (value / 255 - shift[i % shift.length]!) / scale[i % scale.length]!,
      ),
  };
}

function normalization({ kind }: Records, on: boolean) {
  return on
    ? [kind.mean, kind.deviation]
    : ([
        [0, 0, 0],
        [1, 1, 1],
      ] as const);
}

/** For each value of an image as files hold it, its place in one of `side` pixels, channels last. */
function listPlaces(side: number): Int32Array {
  const square = SIDE / side;
  return Int32Array.from({ length: SIDE ** 2 * CHANNELS }, (_, i) => {
    const [channel, row, column] = [
      Math.floor(i / SIDE ** 2),
      Math.floor(i / SIDE) % SIDE,
      i % SIDE,
    ];
    const to = Math.floor(row / square) * side + Math.floor(column / square);
    return to * CHANNELS + channel;
  });
}

/** The means of squares of pixels: of the values with the same place. */
function shrink(planes: Uint8Array, places: Int32Array): Float32Array {
  const image = new Float32Array(places.at(-1)! + 1);
  planes.forEach((value, i) => (image[places[i]!]! += value));
  const square = planes.length / image.length;
  return image.map((sum) => sum / square);
}
