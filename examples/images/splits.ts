/** Balanced splits of labelled images, of any size, for studies. */
import { arraySource, EspalierError, keyedRng } from '@espalier/core';
import type { Source } from '@espalier/core';
import * as z from 'zod';

/** Images as files hold them. */
export interface LabelledImages {
  /** Of one image: height, width, channels. */
  readonly shape: readonly [number, number, number];
  readonly labels: Uint8Array;
  readonly classes: number;
  /** The numbers of an image, row by row, channels last; by its position among the labels. */
  readonly image: (position: number) => Float32Array;
}

/** Options of every split. */
export const splitOptions = z.strictObject({
  /** Examples in a batch; default 32 in training, else 100. */
  batchSize: z.int().positive().optional(),
  /** Images of each class; default all that every class has. */
  perClass: z.int().positive().optional(),
});

/** Options of {@link trainSplit}. */
export const trainSplitOptions = splitOptions.extend({
  /** Images of each class to leave out before; default 0. They are those of a source with so many `perClass`. */
  skip: z.int().nonnegative().default(0),
  /** A seed that draws which images of each class are taken; default 0. */
  draw: z.int().nonnegative().default(0),
});

type SplitOptions = z.output<typeof splitOptions>;

/** Of the training files, one image in six of each class is for validation, whatever is drawn. */
const heldOut = (ofClass: Int32Array) => Math.floor(ofClass.length / 6);

/**
 * Images `[batch, height, width, channels]` and class ids `[batch]` of the training files, in a new
 * order each epoch: the first of one keyed permutation of each class, so the same whatever the seed of a run.
 *
 * @throws EspalierError `images/count`; `images/class` where a class has no image.
 */
export function trainSplit(
  read: LabelledImages,
  { batchSize = 32, perClass, skip, draw }: z.output<typeof trainSplitOptions>,
): Source {
  const pools = poolsOf(read, (ids) => ids.subarray(0, ids.length - heldOut(ids)));
  checkCount('skip', skip, smallest(pools) - 1);
  const left = pools.map((ids, label) => drawn(ids, label, draw).subarray(skip));
  return sourceOf(read, pick(left, perClass), { batchSize, shuffle: true });
}

/** As {@link trainSplit}, in order, of images that it never takes. */
export function validationSplit(
  read: LabelledImages,
  { batchSize = 100, perClass }: SplitOptions,
): Source {
  const pools = poolsOf(read, (ids) => ids.subarray(ids.length - heldOut(ids)));
  return sourceOf(read, pick(pools, perClass), { batchSize, shuffle: false });
}

/** As {@link trainSplit}, in order, of all images: for the test files. */
export function testSplit(
  read: LabelledImages,
  { batchSize = 100, perClass }: SplitOptions,
): Source {
  const pools = poolsOf(read, (ids) => ids);
  return sourceOf(read, pick(pools, perClass), { batchSize, shuffle: false });
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
  const positions = Array.from({ length: classes }, () => [] as number[]);
  labels.forEach((label, i) => positions[label]!.push(i));
  return positions.map((ofClass, label) => {
    const order = keyedRng(0, 'fashion-mnist', label).permutation(ofClass.length);
    return order.map((i) => ofClass[i]!);
  });
}

/** A class in the order of a draw. */
function drawn(ofClass: Int32Array, label: number, draw: number): Int32Array {
  if (draw === 0) return ofClass;
  return keyedRng(draw, 'draw of images', label)
    .permutation(ofClass.length)
    .map((i) => ofClass[i]!);
}

function pick(pools: readonly Int32Array[], perClass = smallest(pools)): readonly number[] {
  checkCount('perClass', perClass, smallest(pools));
  return pools.flatMap((pool) => [...pool.subarray(0, perClass)]);
}

const smallest = (pools: readonly Int32Array[]) => Math.min(...pools.map(({ length }) => length));

function checkCount(option: 'skip' | 'perClass', received: number, most: number): void {
  if (received <= most) return;
  throw new EspalierError('images/count', {
    problem: `${option} may be at most ${most}: so many images of each class there are`,
    received,
    fix: 'Take fewer, or give more images: one in six of the training files is for validation.',
  });
}

function sourceOf(
  { shape, image, labels }: LabelledImages,
  positions: readonly number[],
  batches: { readonly batchSize: number; readonly shuffle: boolean },
): Source {
  const size = shape[0] * shape[1] * shape[2];
  const data = new Float32Array(positions.length * size);
  positions.forEach((from, to) => data.set(image(from), to * size));
  return arraySource({
    x: { data, shape: [positions.length, ...shape] },
    y: {
      data: Int32Array.from(positions, (i) => labels[i]!),
      shape: [positions.length],
    },
    ...batches,
  });
}
