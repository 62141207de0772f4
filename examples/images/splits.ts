/** Balanced splits of labelled images, of any size, for studies. */
import { arraySource, EspalierError, keyedRng } from '@espalier/core';
import type { Source } from '@espalier/core';

/** Images as files hold them. */
export interface LabelledImages {
  /** Of one image: height, width, channels. */
  readonly shape: readonly [number, number, number];
  /** Row by row, channels last, image by image. */
  readonly pixels: Uint8Array;
  readonly labels: Uint8Array;
  readonly classes: number;
}

/** What is read, and from where. */
export interface SplitOptions {
  /** Examples in a batch; default 32 in training, else 100. */
  readonly batchSize?: number;
  /** How many images, as many of each class; default 2000, of `test` 10 000. */
  readonly images?: number;
}

/** Of {@link trainSplit}. */
export interface TrainSplitOptions extends SplitOptions {
  /** How many images to leave out before, as many of each class; default 0. They are those of a run with so many `images`. */
  readonly skip?: number;
}

/** Of the training files, one image in six of each class is for validation, whatever is taken. */
const heldOut = (ofClass: Int32Array) => Math.floor(ofClass.length / 6);

/**
 * Images `[batch, height, width, channels]` in 0…1 and class ids `[batch]` of the training files, in a new
 * order each epoch: the first of one keyed permutation of each class, so the same whatever the seed of a run.
 *
 * @throws EspalierError `images/count`; `images/class` where a class has no image.
 */
export function trainSplit(
  read: LabelledImages,
  { batchSize = 32, images = 2000, skip = 0 }: TrainSplitOptions = {},
): Source {
  const pools = poolsOf(read, (ids) => ids.subarray(0, ids.length - heldOut(ids)));
  checkCount('skip', skip, { least: 0, most: smallest(pools) - 1, classes: read.classes });
  const left = pools.map((ids) => ids.subarray(skip / read.classes));
  return sourceOf(read, pick(left, images), { batchSize, shuffle: true });
}

/** As {@link trainSplit}, in order, of images that it never takes. */
export function validationSplit(
  read: LabelledImages,
  { batchSize = 100, images = 2000 }: SplitOptions = {},
): Source {
  const pools = poolsOf(read, (ids) => ids.subarray(ids.length - heldOut(ids)));
  return sourceOf(read, pick(pools, images), { batchSize, shuffle: false });
}

/** As {@link trainSplit}, in order, of all images: for the test files. */
export function testSplit(
  read: LabelledImages,
  { batchSize = 100, images = 10_000 }: SplitOptions = {},
): Source {
  return sourceOf(
    read,
    pick(
      poolsOf(read, (ids) => ids),
      images,
    ),
    { batchSize, shuffle: false },
  );
}

/** What a split has of each class. */
function poolsOf(read: LabelledImages, part: (ofClass: Int32Array) => Int32Array) {
  const pools = classesOf(read).map(part);
  const empty = pools.findIndex(({ length }) => length === 0);
  if (empty < 0) return pools;
  throw new EspalierError('images/class', {
    problem: `there is no image of class ${empty} for this split`,
    fix: 'Check the files: splits have as many images of each class; one in six is for validation.',
  });
}

/** Positions of the images of each class, in an order that depends on the class alone. */
function classesOf({ labels, classes }: LabelledImages): readonly Int32Array[] {
  return Array.from({ length: classes }, (_, label) => {
    const positions = Int32Array.from(labels.keys()).filter((i) => labels[i] === label);
    const order = keyedRng(0, 'fashion-mnist', label).permutation(positions.length);
    return order.map((i) => positions[i]!);
  });
}

function pick(pools: readonly Int32Array[], images: number): readonly number[] {
  const classes = pools.length;
  checkCount('images', images, { least: 1, most: smallest(pools), classes });
  return pools.flatMap((pool) => [...pool.subarray(0, images / classes)]);
}

const smallest = (pools: readonly Int32Array[]) => Math.min(...pools.map(({ length }) => length));

/** Bounds are those of one class. */
function checkCount(
  option: string,
  given: number,
  { least, most, classes }: { least: number; most: number; classes: number },
): void {
  const ofClass = given / classes;
  if (Number.isInteger(ofClass) && ofClass >= least && ofClass <= most) return;
  throw new EspalierError('images/count', {
    problem: `${option} must be a multiple of ${classes} from ${least * classes} to ${most * classes}, as many of each class`,
    received: given,
  });
}

function sourceOf(
  { shape, pixels, labels }: LabelledImages,
  positions: readonly number[],
  batches: { readonly batchSize: number; readonly shuffle: boolean },
): Source {
  const size = shape[0] * shape[1] * shape[2];
  const data = new Float32Array(positions.length * size);
  positions.forEach((from, to) => {
    const image = pixels.subarray(from * size, (from + 1) * size);
    image.forEach((value, i) => (data[to * size + i] = value / 255));
  });
  return arraySource({
    x: { data, shape: [positions.length, ...shape] },
    y: {
      data: Int32Array.from(positions, (i) => labels[i]!),
      shape: [positions.length],
    },
    ...batches,
  });
}
