import type { KeyedRng } from '@espalier/core';
import { prepareSearch } from './nearest.js';
import { firstPoints } from './points.js';
import type { Points } from './points.js';
import { startInPrincipalDirections } from './principal-start.js';
import { refineCentroids } from './refine-centroids.js';
import { seedCentroids } from './seed-centroids.js';

/** Points for each centroid, and rounds over them: the first rounds need only a few of the points. */
interface Level {
  readonly pointsEach: number;
  readonly rounds: number;
}

const LEVELS: readonly Level[] = [
  { pointsEach: 16, rounds: 8 },
  { pointsEach: 64, rounds: 6 },
  { pointsEach: Infinity, rounds: 6 },
];

/** Of points that start in principal directions. */
const WIDE_LEVELS: readonly Level[] = [{ pointsEach: Infinity, rounds: 6 }];

/** Wider points start in their principal directions. */
const WIDE = 32;

/**
 * Centroids of least weighted squared error by Lloyd's algorithm, from those of k-means++ or, of wide points,
 * from principal directions. Points have to come in random order: the first rounds use only some of
 * them. A centroid without points moves to the point whose error is largest.
 *
 * @returns `[size, width]`.
 */
export async function findCentroids(
  points: Points,
  size: number,
  draw: KeyedRng,
): Promise<Float32Array> {
  const few = (pointsEach: number) =>
    firstPoints(points, Math.min(points.count, pointsEach * size));
  const wide = points.width > WIDE;
  const centroids = wide
    ? await startInPrincipalDirections(few(64), size)
    : seedCentroids(few(16), size, draw);
  const search = prepareSearch(points, size);
  try {
    for (const { pointsEach, rounds } of wide ? WIDE_LEVELS : LEVELS) {
      await refineCentroids(few(pointsEach), search, centroids, rounds);
    }
  } finally {
    search.dispose();
  }
  return centroids;
}
