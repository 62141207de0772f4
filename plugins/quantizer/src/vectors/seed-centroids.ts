import type { KeyedRng } from '@espalier/core';
import type { Points } from './points.js';

/**
 * Centroids to start from, by k-means++ (Arthur, Vassilvitskii 2007): each is a point, drawn with a
 * probability that grows with its weight and with its squared distance from those drawn before. Where
 * the points are fewer than the centroids, the last ones repeat.
 *
 * @returns `[size, width]`.
 */
export function seedCentroids(points: Points, size: number, draw: KeyedRng): Float32Array {
  const { data, count, width, weights } = points;
  const centroids = new Float32Array(size * width);
  const shares = weights ? weights.slice() : new Float64Array(count).fill(1);
  const distances = new Float64Array(count).fill(Infinity);
  for (let k = 0; k < size; k++) {
    const at = drawByShare(shares, draw) * width;
    centroids.set(data.subarray(at, at + width), k * width);
    lowerDistances(points, at, distances, shares);
  }
  return centroids;
}

function drawByShare(shares: Float64Array, draw: KeyedRng): number {
  let total = 0;
  for (const share of shares) total += share;
  let rest = draw() * total;
  let last = 0;
  for (let i = 0; i < shares.length; i++) {
    if (!(shares[i]! > 0)) continue;
    last = i;
    rest -= shares[i]!;
    if (rest < 0) return i;
  }
  return last;
}

/** Takes the centroid at `at` into account: distances, and shares = weight · distance². */
function lowerDistances(
  { data, count, width, weights }: Points,
  at: number,
  distances: Float64Array,
  shares: Float64Array,
): void {
  for (let i = 0, from = 0; i < count; i++, from += width) {
    const limit = distances[i]!;
    let sum = 0;
    for (let j = 0; j < width && sum < limit; j++) {
      const gap = data[from + j]! - data[at + j]!;
      sum += gap * gap;
    }
    if (sum >= limit) continue;
    distances[i] = sum;
    shares[i] = weights ? weights[i]! * sum : sum;
  }
}
