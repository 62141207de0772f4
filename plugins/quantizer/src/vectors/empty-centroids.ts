import type { Points } from './points.js';

/**
 * Moves centroids without weight to the points of largest weighted squared error, each to another one.
 *
 * @param totals The weight of each centroid's points.
 */
export function moveEmptyCentroids(
  points: Points,
  nearest: Int32Array,
  totals: Float64Array,
  centroids: Float32Array,
): void {
  const empty = [...totals.keys()].filter((id) => totals[id] === 0);
  if (empty.length === 0) return;
  const { data, width } = points;
  const errors = computeErrors(points, nearest, centroids);
  for (const id of empty) {
    const worst = findLargest(errors);
    if (errors[worst] === 0) return;
    errors[worst] = 0;
    centroids.set(data.subarray(worst * width, (worst + 1) * width), id * width);
  }
}

function computeErrors(
  { data, count, width, weights }: Points,
  nearest: Int32Array,
  centroids: Float32Array,
): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < width; j++) {
      sum += (data[i * width + j]! - centroids[nearest[i]! * width + j]!) ** 2;
    }
    return sum * (weights?.[i] ?? 1);
  });
}

function findLargest(values: Float64Array): number {
  let largest = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[largest]!) largest = i;
  return largest;
}
