import { eigenpairs, gram, project } from '@espalier/linalg';
import type { Matrix } from '@espalier/linalg';
import { prepareSearch } from './nearest.js';
import type { Points } from './points.js';
import { refineCentroids } from './refine-centroids.js';

/** Rounds of Lloyd's algorithm for each number of directions. */
const ROUNDS = 8;

/**
 * Centroids for wide points to start from: found along the 2 principal directions of the points first, then
 * along 4, 8, … of them, each from those before. Among many coordinates, random centroids lead to worse
 * ones.
 *
 * @returns `[size, width]`.
 */
export async function startInPrincipalDirections(
  points: Points,
  size: number,
): Promise<Float32Array> {
  const { data, count, width, weights } = points;
  const matrix = { data, rows: count, columns: width };
  const covariance = await gram(matrix, weights && { weights });
  const { vectors } = await eigenpairs(covariance, width);
  let centroids = emptyMatrix(size, 0);
  for (let directions = 2; directions < width; directions *= 2) {
    const basis = resize({ data: vectors, rows: width, columns: width }, directions);
    const seen = await project(matrix, basis);
    const begun = centroids.columns === 0 ? resize(seen, directions, size) : centroids;
    centroids = resize(begun, directions);
    await refineAmong({ data: seen.data, count, width: directions, weights }, centroids.data);
  }
  const back = resize(
    { data: transposed(vectors, width), rows: width, columns: width },
    width,
    centroids.columns,
  );
  return (await project(centroids, back)).data;
}

async function refineAmong(points: Points, centroids: Float32Array): Promise<void> {
  const search = prepareSearch(points, centroids.length / points.width);
  try {
    await refineCentroids(points, search, centroids, ROUNDS);
  } finally {
    search.dispose();
  }
}

function emptyMatrix(rows: number, columns: number): Matrix {
  return { data: new Float32Array(rows * columns), rows, columns };
}

/** The first columns and rows, or as many as there are, and zeros. */
function resize(from: Matrix, columns: number, rows = from.rows): Matrix {
  const resized = emptyMatrix(rows, columns);
  const [high, wide] = [Math.min(rows, from.rows), Math.min(columns, from.columns)];
  for (let i = 0; i < high; i++) {
    for (let j = 0; j < wide; j++) {
      resized.data[i * columns + j] = from.data[i * from.columns + j]!;
    }
  }
  return resized;
}

function transposed(square: Float32Array, size: number): Float32Array {
  return square.map((_, at) => square[(at % size) * size + Math.floor(at / size)]!);
}
