import type { VocabPartition } from '@espalier/compression';
import { EspalierError } from '@espalier/core';
import { sortByFrequency, checkBlocks, cutOrder } from './frequency.js';

/**
 * Blocks of equally many words, in falling frequency; sizes differ by one at most.
 *
 * @throws EspalierError `vocab-partition/counts`, `vocab-partition/blocks`.
 * @see GroupReduce, Chen et al. 2018, arXiv 1806.06950, section 3.
 */
export function equalSize(counts: ArrayLike<number>, blocks: number): VocabPartition {
  const { order } = sortByFrequency(counts);
  checkBlocks(blocks, order.length);
  const ends = Array.from({ length: blocks - 1 }, (_, p) =>
    Math.ceil(((p + 1) * order.length) / blocks),
  );
  return cutOrder(order, ends);
}

/**
 * Blocks of words that together occur equally often, as nearly as whole words allow; no block is
 * empty.
 *
 * @throws EspalierError `vocab-partition/counts`, `vocab-partition/blocks`.
 */
export function equalMass(counts: ArrayLike<number>, blocks: number): VocabPartition {
  const { order, counts: falling } = sortByFrequency(counts);
  checkBlocks(blocks, order.length);
  const total = falling.reduce((a, b) => a + b, 0);
  const ends: number[] = [];
  let end = 0;
  let mass = 0;
  for (let p = 1; p < blocks; p++) {
    const wanted = (total * p) / blocks;
    const [least, most] = [(ends.at(-1) ?? 0) + 1, order.length - (blocks - p)];
    // The next word goes in where that ends nearer to what is wanted.
    while (end < least || (end < most && mass + falling[end]! / 2 <= wanted))
      mass += falling[end++]!;
    ends.push(end);
  }
  return cutOrder(order, ends);
}

/**
 * Blocks that end where the user says: `[2000, 10000]` makes the 2 000 most frequent words, the next
 * 8 000, and the rest.
 *
 * @throws EspalierError `vocab-partition/counts`, `vocab-partition/cut-offs`.
 */
export function cutOffs(counts: ArrayLike<number>, cutoffs: readonly number[]): VocabPartition {
  const { order } = sortByFrequency(counts);
  const sound = cutoffs.every(
    (end, p) => Number.isInteger(end) && end > (cutoffs[p - 1] ?? 0) && end < order.length,
  );
  if (sound) return cutOrder(order, cutoffs);
  throw new EspalierError('vocab-partition/cut-offs', {
    problem: `cut-offs must rise and be whole numbers from 1 to ${order.length - 1}, for ${order.length} words`,
    received: cutoffs,
    fix: 'Give how many of the most frequent words lie before each cut: [2000, 10000].',
  });
}
