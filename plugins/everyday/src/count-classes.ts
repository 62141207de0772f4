import { disposeRaw, EspalierError, keyedRng, suggest } from '@espalier/core';
import type { RawBatch, Source } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** What to count. */
export interface CountOptions {
  /** Output whose targets are counted; needed where the source gives several. */
  readonly output?: string;
  /** Number of classes; default: as many as the targets show. */
  readonly classes?: number;
}

/**
 * How many examples (or time steps) of each class a source has, read once. Targets are class ids, one-hot or
 * other distributions (float32; the largest share counts), or 0 and 1 of one unit. Examples of weight 0 do not
 * count.
 *
 * @returns By class id.
 * @throws EspalierError `class-weights/targets`, where the source gives none.
 * @example
 * const counts = await countClasses(train, { classes: 10 });
 */
export async function countClasses(source: Source, options: CountOptions = {}): Promise<number[]> {
  const counts = new Array<number>(options.classes ?? 0).fill(0);
  const stream = keyedRng(0, 'count-classes');
  for await (const raw of source.iterate({ epoch: 0, skip: 0, stream })) {
    try {
      await addBatch(counts, raw, options);
    } finally {
      disposeRaw(raw);
    }
  }
  return Array.from(counts, (count) => count ?? 0);
}

/**
 * Weights by which all classes count the same in sum, and an example 1 in the mean: examples / (classes ·
 * examples of the class), as `class_weight='balanced'` of scikit-learn. A class without examples weighs 1.
 *
 * @param counts Examples of each class.
 * @example
 * balanceClasses([30, 10]); // [0.667, 2]
 */
export function balanceClasses(counts: readonly number[]): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const classes = counts.filter((count) => count > 0).length;
  return counts.map((count) => (count > 0 ? total / (classes * count) : 1));
}

async function addBatch(counts: number[], raw: RawBatch, options: CountOptions): Promise<void> {
  const { weights } = raw;
  const target = findTarget(raw, options.output);
  const ids = tf.tidy(() => toIds(target, options.classes));
  const [values, given] = [await ids.data(), await weights?.data()];
  ids.dispose();
  values.forEach((id, i) => {
    const counted = given?.[Math.floor((i * given.length) / values.length)] !== 0;
    if (counted) counts[id] = (counts[id] ?? 0) + 1;
  });
}

function findTarget({ y }: RawBatch, output: string | undefined): Tensor {
  if (y instanceof tf.Tensor) return y;
  const names = Object.keys(y ?? {});
  const name = output ?? (names.length === 1 ? names[0]! : '');
  if (y?.[name]) return y[name];
  throw new EspalierError('class-weights/targets', {
    problem: y
      ? `the source gives no targets of ${output === undefined ? 'one output only' : `an output '${output}'`}`
      : 'the source gives no targets',
    received: names,
    fix:
      output === undefined
        ? "Name one: countClasses(source, { output: '…' })."
        : suggest(output, names),
  });
}

function toIds(target: Tensor, classes: number | undefined): Tensor {
  const last = target.shape.at(-1) ?? 1;
  const shares = target.rank > 1 && last > 1 && (target.dtype === 'float32' || last === classes);
  return shares ? tf.argMax(target, -1) : tf.cast(tf.round(target), 'int32');
}
