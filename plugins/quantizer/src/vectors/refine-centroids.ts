import { moveEmptyCentroids } from './empty-centroids.js';
import { UNKNOWN } from './nearest-on-host.js';
import type { NearestSearch } from './nearest.js';
import type { Points } from './points.js';

/** Rounds of Lloyd's algorithm, until nothing changes; changes the centroids in place. */
export async function refineCentroids(
  points: Points,
  search: NearestSearch,
  centroids: Float32Array,
  rounds: number,
): Promise<void> {
  const nearest = new Int32Array(points.count).fill(UNKNOWN);
  let before: Int32Array | undefined;
  for (let round = 0; round < rounds; round++) {
    await search.find(centroids, nearest);
    if (before?.every((id, i) => id === nearest[i])) return;
    before = nearest.slice();
    moveToMeans(points, nearest, centroids);
  }
}

/** Puts every centroid at the weighted mean of its points. */
export function moveToMeans(points: Points, nearest: Int32Array, centroids: Float32Array): void {
  const { data, count, width, weights } = points;
  const sums = new Float64Array(centroids.length);
  const totals = new Float64Array(centroids.length / width);
  for (let i = 0, at = 0; i < count; i++) {
    const weight = weights ? weights[i]! : 1;
    totals[nearest[i]!]! += weight;
    for (let j = 0, to = nearest[i]! * width; j < width; j++) sums[to++]! += weight * data[at++]!;
  }
  for (let to = 0; to < sums.length; to++) {
    const total = totals[Math.floor(to / width)]!;
    if (total > 0) centroids[to] = sums[to]! / total;
  }
  moveEmptyCentroids(points, nearest, totals, centroids);
}
