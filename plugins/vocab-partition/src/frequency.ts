import { floorCounts } from '@espalier/compression';
import type { VocabPartition } from '@espalier/compression';
import { EspalierError } from '@espalier/core';
import { checkCounts } from './check-counts.js';

/** A vocabulary in falling frequency. */
export interface FrequencyOrder {
  /** Word ids; those of equal counts by id, so that a vocabulary sorted by count keeps its order. */
  readonly order: Int32Array;
  /** The count of `order[i]`, zeros floored: falling. */
  readonly counts: Float64Array;
}

/** Sorts words by count, most frequent first. */
export function sortByFrequency(counts: ArrayLike<number>): FrequencyOrder {
  const checked = checkCounts(counts);
  const order = Int32Array.from(checked, (_, word) => word);
  order.sort((a, b) => checked[b]! - checked[a]! || a - b);
  return { order, counts: floorCounts(Float64Array.from(order, (word) => checked[word]!)) };
}

/** Refuses numbers of blocks that a vocabulary cannot have. */
export function checkBlocks(blocks: number, words: number): void {
  if (Number.isInteger(blocks) && blocks >= 1 && blocks <= words) return;
  throw new EspalierError('vocab-partition/blocks', {
    problem: `${words} words make 1 to ${words} blocks`,
    received: blocks,
    fix: "Ask for fewer blocks, or for blocks: 'auto'.",
  });
}

/** Cuts an order behind each of `ends`, which rise, and at its end. */
export function cutOrder(order: Int32Array, ends: readonly number[]): VocabPartition {
  const all = [...ends, order.length];
  return { order, sizes: all.map((end, p) => end - (all[p - 1] ?? 0)) };
}
