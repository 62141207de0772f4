/** Fashion-MNIST (Xiao et al. 2017) as sources: a configuration names `./data.ts#train` and so on. */
import { join } from 'node:path';
import { arraySource, EspalierError, keyedStream } from '@espalier/core';
import type { Source } from '@espalier/core';
import { readIdx } from './idx.js';
import type { IdxArray } from './idx.js';

const FOLDER = join('runs', 'data', 'fashion-mnist');
const SIZE = 28 * 28;
const CLASSES = 10;

/** What is read, and from where. */
export interface DataOptions {
  /** Examples in a batch; default 32 in training, else 100. */
  readonly batchSize?: number;
  /** How many images, as many of each class; default 2000, of `test` 10 000. */
  readonly images?: number;
  /** Folder of the four IDX files, packed by gzip or not; default `runs/data/fashion-mnist`. */
  readonly dir?: string;
}

/** Of {@link train}. */
export interface TrainOptions extends DataOptions {
  /** How many images to leave out before, as many of each class; default 0. They are those of a run with so many `images`. */
  readonly skip?: number;
}

/** Of the training files, one image in six of each class is for validation, whatever is taken. */
const heldOut = (ofClass: Int32Array) => Math.floor(ofClass.length / 6);

/**
 * Training images `[batch, 28, 28, 1]` in 0…1 and class ids `[batch]`, in a new order each epoch:
 * the first of one keyed permutation of each class, so the same whatever the seed of a run.
 *
 * @throws EspalierError `fashion-mnist/missing`, `fashion-mnist/format`, `fashion-mnist/images`.
 */
export function train({
  batchSize = 32,
  images = 2000,
  skip = 0,
  dir = FOLDER,
}: TrainOptions = {}): Source {
  const read = readImages(dir, 'train');
  const pools = classesOf(read).map((ids) => ids.subarray(0, ids.length - heldOut(ids)));
  checkCount('skip', skip, 0, CLASSES * (smallest(pools) - 1));
  const left = pools.map((ids) => ids.subarray(skip / CLASSES));
  return sourceOf(read, pick(left, images), { batchSize, shuffle: true });
}

/** As {@link train}, in order, of images that {@link train} never takes. */
export function validation({
  batchSize = 100,
  images = 2000,
  dir = FOLDER,
}: DataOptions = {}): Source {
  const read = readImages(dir, 'train');
  const pools = classesOf(read).map((ids) => ids.subarray(ids.length - heldOut(ids)));
  return sourceOf(read, pick(pools, images), { batchSize, shuffle: false });
}

/** As {@link train}, in order, of the test files. */
export function test({ batchSize = 100, images = 10_000, dir = FOLDER }: DataOptions = {}): Source {
  const read = readImages(dir, 't10k');
  return sourceOf(read, pick(classesOf(read), images), { batchSize, shuffle: false });
}

interface LabelledImages {
  /** `[n, 28, 28]`. */
  readonly pixels: IdxArray;
  /** `[n]`. */
  readonly labels: IdxArray;
}

function readImages(dir: string, files: 'train' | 't10k'): LabelledImages {
  const pixels = readIdx(dir, `${files}-images-idx3-ubyte`, 3);
  const labels = readIdx(dir, `${files}-labels-idx1-ubyte`, 1);
  const [count, ...size] = pixels.shape;
  const wrong =
    String(size) !== '28,28'
      ? `images of ${size.join(' × ')} pixels instead of 28 × 28`
      : count !== labels.shape[0]
        ? `${count} images, but ${labels.shape[0]} labels`
        : labels.data.some((label) => label >= CLASSES) && 'labels above 9';
  if (!wrong) return { pixels, labels };
  throw new EspalierError('fashion-mnist/format', {
    problem: `the files ${files}-… in ${dir} hold ${wrong}`,
    fix: 'They are not those of Fashion-MNIST: run npm run setup:fashion-mnist.',
  });
}

/** Positions of the images of each class, in an order that depends on the class alone. */
function classesOf({ labels: { data } }: LabelledImages): readonly Int32Array[] {
  return Array.from({ length: CLASSES }, (_, label) => {
    const positions = Int32Array.from(data.keys()).filter((i) => data[i] === label);
    const order = keyedStream(0, 'fashion-mnist', label).permutation(positions.length);
    return order.map((i) => positions[i]!);
  });
}

function pick(pools: readonly Int32Array[], images: number): readonly number[] {
  checkCount('images', images, CLASSES, CLASSES * smallest(pools));
  return pools.flatMap((pool) => [...pool.subarray(0, images / CLASSES)]);
}

const smallest = (pools: readonly Int32Array[]) => Math.min(...pools.map(({ length }) => length));

function checkCount(option: string, given: number, least: number, most: number): void {
  if (Number.isInteger(given / CLASSES) && given >= least && given <= most) return;
  throw new EspalierError('fashion-mnist/images', {
    problem: `${option} must be a multiple of ${CLASSES} from ${least} to ${most}, as many of each class`,
    received: given,
  });
}

function sourceOf(
  { pixels, labels }: LabelledImages,
  positions: readonly number[],
  batches: { readonly batchSize: number; readonly shuffle: boolean },
): Source {
  const data = new Float32Array(positions.length * SIZE);
  positions.forEach((from, to) => {
    const image = pixels.data.subarray(from * SIZE, (from + 1) * SIZE);
    image.forEach((value, i) => (data[to * SIZE + i] = value / 255));
  });
  return arraySource({
    x: { data, shape: [positions.length, 28, 28, 1] },
    y: {
      data: Int32Array.from(positions, (i) => labels.data[i]!),
      shape: [positions.length],
    },
    ...batches,
  });
}
