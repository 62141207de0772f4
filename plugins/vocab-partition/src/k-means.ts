import type { VocabPartition } from '@espalier/compression';
import { sortByFrequency, checkBlocks, cutOrder } from './frequency.js';

/**
 * Blocks of words of like frequency: the least sum of squared distances of the logarithms of counts
 * (zeros floored) to their block's mean. In one dimension the optimum is found exactly, by dynamic
 * programming. Words of one count stay together where there are at least as many different counts
 * as blocks; otherwise the largest groups are halved.
 *
 * @throws EspalierError `vocab-partition/counts`, `vocab-partition/blocks`.
 * @see Wang & Song 2011, "Ckmeans.1d.dp", for the dynamic programme.
 */
export function kMeansLogFrequency(counts: ArrayLike<number>, blocks: number): VocabPartition {
  const { order, counts: falling } = sortByFrequency(counts);
  checkBlocks(blocks, order.length);
  const ends = findRunEnds(falling);
  if (ends.length <= blocks) return cutOrder(order, halveLargest(ends, blocks).slice(0, -1));
  const logs = ends.map((end) => Math.log(falling[end - 1]!));
  const groups = clusterEnds(logs, computeSizes(ends), blocks);
  return cutOrder(
    order,
    groups.map((group) => ends[group - 1]!),
  );
}

/** Behind the last of every run of equal values. */
function findRunEnds(values: Float64Array): number[] {
  const ends: number[] = [];
  values.forEach((value, i) => {
    if (value !== values[i + 1]) ends.push(i + 1);
  });
  return ends;
}

function computeSizes(ends: readonly number[]): number[] {
  return ends.map((end, i) => end - (ends[i - 1] ?? 0));
}

/** Halves the largest group, the first of equals, until there are enough. */
function halveLargest(ends: readonly number[], wanted: number): number[] {
  const all = [...ends];
  while (all.length < wanted) {
    const sizes = computeSizes(all);
    const largest = sizes.indexOf(Math.max(...sizes));
    all.splice(largest, 0, all[largest]! - Math.floor(sizes[largest]! / 2));
  }
  return all;
}

/** The cost of one cluster of the sorted values from `begin` to before `end`. */
type Cost = (begin: number, end: number) => number;

/**
 * Where the best clusters of sorted, weighted values end, the last one's end left out. Row k of the
 * programme holds the least cost of the first j values in k clusters; since the best last cut only
 * moves right as j grows, a row takes n log n steps.
 */
function clusterEnds(
  values: readonly number[],
  weights: readonly number[],
  clusters: number,
): number[] {
  const cost = squaredDistances(values, weights);
  let row = Float64Array.from({ length: values.length + 1 }, (_, end) => cost(0, end));
  const cuts: Int32Array[] = [];
  for (let k = 2; k <= clusters; k++) {
    const next = nextRow(row, k, cost);
    row = next.row;
    cuts.push(next.cuts);
  }
  const ends: number[] = [];
  let end = values.length;
  for (const row of cuts.reverse()) ends.unshift((end = row[end]!));
  return ends;
}

function nextRow(before: Float64Array, clusters: number, cost: Cost) {
  const row = new Float64Array(before.length).fill(Infinity);
  const cuts = new Int32Array(before.length);
  const solve = (low: number, high: number, first: number, last: number): void => {
    if (low > high) return;
    const end = (low + high) >> 1;
    for (let cut = first; cut <= Math.min(last, end - 1); cut++) {
      const total = before[cut]! + cost(cut, end);
      if (total < row[end]!) [row[end], cuts[end]] = [total, cut];
    }
    solve(low, end - 1, first, cuts[end]!);
    solve(end + 1, high, cuts[end]!, last);
  };
  solve(clusters, before.length - 1, clusters - 1, before.length - 2);
  return { row, cuts };
}

function squaredDistances(values: readonly number[], weights: readonly number[]): Cost {
  const mass = prefixSums(weights);
  const centre =
    values.reduce((sum, value, i) => sum + value * weights[i]!, 0) / mass[values.length]!;
  const first = prefixSums(values.map((value, i) => weights[i]! * (value - centre)));
  const second = prefixSums(values.map((value, i) => weights[i]! * (value - centre) ** 2));
  return (begin, end) => {
    if (end - begin <= 1) return 0;
    const sum = first[end]! - first[begin]!;
    return second[end]! - second[begin]! - sum ** 2 / (mass[end]! - mass[begin]!);
  };
}

function prefixSums(values: readonly number[]): Float64Array {
  const sums = new Float64Array(values.length + 1);
  values.forEach((value, i) => (sums[i + 1] = sums[i]! + value));
  return sums;
}
