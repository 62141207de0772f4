import type { Points } from './points.js';

/** In place of a guess. */
export const UNKNOWN = -1;

/** Centroids in the order of one coordinate, in which they are searched from inside out. */
interface SortedCentroids {
  /** The coordinate that they differ most in. */
  readonly axis: number;
  /** That coordinate, rising: `[size]`. */
  readonly keys: Float64Array;
  /** `[size, width]`, in that order. */
  readonly values: Float64Array;
  /** Number of each centroid before sorting. */
  readonly ids: Int32Array;
  /** Place of each centroid in the order. */
  readonly places: Int32Array;
}

/**
 * The nearest centroid of every point, exactly, in float64. From a guess, the search goes up and down
 * along one coordinate until the distance in this coordinate alone exceeds the best one found.
 *
 * @param nearest `[count]`: holds guesses or {@link UNKNOWN}, and then the result.
 */
export function findNearestOnHost(
  { data, count, width }: Points,
  centroids: Float32Array,
  nearest: Int32Array,
): void {
  const { axis, keys, values, ids, places } = sortCentroids(centroids, width);
  const search = width === 2 ? searchPlane : searchSpace;
  for (let i = 0; i < count; i++) {
    const at = i * width;
    const key = data[at + axis]!;
    const guess = nearest[i]!;
    const start = guess === UNKNOWN ? findPlace(keys, key) : places[guess]!;
    nearest[i] = ids[search(data, at, width, key, keys, values, start)]!;
  }
}

/** The first centroid whose coordinate is not below `key`, or the last one. */
function findPlace(keys: Float64Array, key: number): number {
  let [low, high] = [0, keys.length - 1];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

type Search = (
  data: Float32Array,
  at: number,
  width: number,
  key: number,
  keys: Float64Array,
  values: Float64Array,
  start: number,
) => number;

const searchSpace: Search = (data, at, width, key, keys, values, start) => {
  let found = start;
  let best = squaredDistance(data, at, values, start * width, width, Infinity);
  for (let k = start + 1; k < keys.length; k++) {
    const gap = keys[k]! - key;
    if (gap > 0 && gap * gap >= best) break;
    const distance = squaredDistance(data, at, values, k * width, width, best);
    if (distance < best) [best, found] = [distance, k];
  }
  for (let k = start - 1; k >= 0; k--) {
    const gap = keys[k]! - key;
    if (gap < 0 && gap * gap >= best) break;
    const distance = squaredDistance(data, at, values, k * width, width, best);
    if (distance < best) [best, found] = [distance, k];
  }
  return found;
};

/** The same for points of two numbers, which are the most common ones. */
const searchPlane: Search = (data, at, _, key, keys, values, start) => {
  const [x, y] = [data[at]!, data[at + 1]!];
  let found = start;
  let best = (x - values[2 * start]!) ** 2 + (y - values[2 * start + 1]!) ** 2;
  for (let k = start + 1; k < keys.length; k++) {
    const gap = keys[k]! - key;
    if (gap > 0 && gap * gap >= best) break;
    const [dx, dy] = [x - values[2 * k]!, y - values[2 * k + 1]!];
    const distance = dx * dx + dy * dy;
    if (distance < best) [best, found] = [distance, k];
  }
  for (let k = start - 1; k >= 0; k--) {
    const gap = keys[k]! - key;
    if (gap < 0 && gap * gap >= best) break;
    const [dx, dy] = [x - values[2 * k]!, y - values[2 * k + 1]!];
    const distance = dx * dx + dy * dy;
    if (distance < best) [best, found] = [distance, k];
  }
  return found;
};

/** ‖x − c‖², or a part of it that is not below `limit`. */
function squaredDistance(
  data: Float32Array,
  at: number,
  values: Float64Array,
  from: number,
  width: number,
  limit: number,
): number {
  let sum = 0;
  for (let j = 0; j < width && sum < limit; j++) {
    const gap = data[at + j]! - values[from + j]!;
    sum += gap * gap;
  }
  return sum;
}

function sortCentroids(centroids: Float32Array, width: number): SortedCentroids {
  const size = centroids.length / width;
  const axis = findWidestAxis(centroids, width);
  const key = (id: number) => centroids[id * width + axis]!;
  const ids = Int32Array.from({ length: size }, (_, id) => id).sort((a, b) => key(a) - key(b));
  const [values, places] = [new Float64Array(centroids.length), new Int32Array(size)];
  ids.forEach((id, place) => {
    places[id] = place;
    values.set(centroids.subarray(id * width, (id + 1) * width), place * width);
  });
  return { axis, keys: Float64Array.from(ids, key), values, ids, places };
}

function findWidestAxis(centroids: Float32Array, width: number): number {
  const spreads = Array.from({ length: width }, (_, axis) => {
    let [sum, squares] = [0, 0];
    for (let at = axis; at < centroids.length; at += width) {
      sum += centroids[at]!;
      squares += centroids[at]! ** 2;
    }
    return squares - (sum * sum * width) / centroids.length;
  });
  return spreads.indexOf(Math.max(...spreads));
}
