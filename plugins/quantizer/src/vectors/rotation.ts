import type { Matrix } from '@espalier/compression';
import { keyedRng } from '@espalier/core';
import { eigenpairs, gram, project } from '@espalier/linalg';
import * as tf from '@tensorflow/tfjs-core';
import { encodePart, viewRows } from './encode-parts.js';
import { ErrorSum } from './error-sum.js';
import type { VectorFormat } from './layout.js';
import { takePoints } from './points.js';
import { findPolarFactor } from './polar-factor.js';
import { moveToMeans } from './refine-centroids.js';
import type { RowSample } from './sample-rows.js';
import { findCentroids } from './weighted-k-means.js';

/** Rows for each entry of a codebook that take part. */
const ROWS_EACH = 64;
/** Rounds of one step of k-means and one new rotation. */
const ROUNDS = 20;

/**
 * A rotation R `[columns, columns]` after which product codes of `x R` have a small error: the non-parametric
 * alternation of Ge et al. 2013. Each round assigns rows to entries, moves the entries, and takes the
 * rotation that brings the rows nearest to what they decode to (orthogonal Procrustes). It starts at the
 * better of no rotation and of principal directions shared out so that the products of the parts'
 * variances are alike.
 */
export async function learnRotation(
  { matrix, weights }: RowSample,
  format: VectorFormat,
  seed: number,
): Promise<Matrix> {
  const rows = Math.min(matrix.rows, ROWS_EACH * 2 ** format.bits);
  const sample = { matrix: viewRows(matrix, 0, rows), weights: weights?.subarray(0, rows) };
  const starts = [identity(matrix.columns), await shareOutDirections(sample, format)];
  const tried: Progress[] = [];
  for (const rotation of starts) tried.push(await begin(sample, rotation, format, seed));
  let best = tried[0]!.error <= tried[1]!.error ? tried[0]! : tried[1]!;
  for (let round = 0; round < ROUNDS; round++) best = await improve(sample, best, format);
  return best.rotation;
}

type Sample = Pick<RowSample, 'matrix' | 'weights'>;

interface Progress {
  readonly rotation: Matrix;
  /** The tables of all parts. */
  readonly codebook: Float32Array;
  /** Weighted squared error of the rows, as they were assigned last. */
  readonly error: number;
}

async function begin(
  { matrix, weights }: Sample,
  rotation: Matrix,
  { bits, pieces, columns }: VectorFormat,
  seed: number,
): Promise<Progress> {
  const turned = await project(matrix, rotation);
  const codebook = new Float32Array(2 ** bits * columns);
  const sum = new ErrorSum();
  for (const [part, piece] of pieces.entries()) {
    const points = { ...takePoints(turned, piece, 0, turned.rows), weights };
    const table = await findCentroids(points, 2 ** bits, keyedRng(seed, 'rotation', part));
    codebook.set(table, piece.table);
    sum.add(points, await encodePart(turned, piece, table, new ErrorSum()), table);
  }
  return { rotation, codebook, error: sum.squared };
}

async function improve(
  { matrix, weights }: Sample,
  { rotation, codebook }: Progress,
  { bits, pieces }: VectorFormat,
): Promise<Progress> {
  const turned = await project(matrix, rotation);
  const decoded = new Float32Array(turned.data.length);
  const next = codebook.slice();
  const sum = new ErrorSum();
  for (const piece of pieces) {
    const points = { ...takePoints(turned, piece, 0, turned.rows), weights };
    const table = next.subarray(piece.table, piece.table + 2 ** bits * piece.width);
    const nearest = await encodePart(turned, piece, table, new ErrorSum());
    moveToMeans(points, nearest, table);
    sum.add(points, nearest, table);
    writePart(decoded, turned.columns, piece, table, nearest);
  }
  const turn = await findTurn(turned, decoded, weights);
  return { rotation: await project(rotation, turn), codebook: next, error: sum.squared };
}

function writePart(
  target: Float32Array,
  columns: number,
  { from, width }: { readonly from: number; readonly width: number },
  table: Float32Array,
  nearest: Int32Array,
): void {
  nearest.forEach((id, i) => {
    target.set(table.subarray(id * width, (id + 1) * width), i * columns + from);
  });
}

/** The rotation that brings weighted rows nearest to others: the polar factor of Xᵀ W Y. */
async function findTurn(
  { data, rows, columns }: Matrix,
  decoded: Float32Array,
  weights: Float64Array | undefined,
): Promise<Matrix> {
  const products = tf.tidy(() => {
    const y = tf.tensor2d(decoded, [rows, columns]);
    const scaled = weights ? tf.mul(y, tf.tensor2d(relate(weights), [rows, 1])) : y;
    return tf.matMul(tf.tensor2d(data, [rows, columns]), scaled as tf.Tensor2D, true);
  });
  const values = Float64Array.from(await products.data<'float32'>());
  products.dispose();
  const turn = await findPolarFactor(values, columns);
  return { data: Float32Array.from(turn), rows: columns, columns };
}

function relate(weights: Float64Array): Float32Array {
  const largest = weights.reduce((most, weight) => Math.max(most, weight), 0);
  return Float32Array.from(weights, (weight) => weight / largest);
}

function identity(columns: number): Matrix {
  const data = new Float32Array(columns ** 2);
  for (let i = 0; i < columns; i++) data[i * (columns + 1)] = 1;
  return { data, rows: columns, columns };
}

/** Principal directions, each to the part with room whose product of variances is least so far. */
async function shareOutDirections(
  { matrix, weights }: Sample,
  { pieces, columns }: VectorFormat,
): Promise<Matrix> {
  const covariance = await gram(matrix, weights ? { weights } : {});
  const { values, vectors } = await eigenpairs(covariance, columns);
  const loads = pieces.map(({ from, width }) => ({ next: from, end: from + width, log: 0 }));
  const data = new Float32Array(columns ** 2);
  for (let k = 0; k < columns; k++) {
    const open = loads.filter(({ next, end }) => next < end);
    const least = open.reduce((a, b) => (b.log < a.log ? b : a));
    for (let i = 0; i < columns; i++) data[i * columns + least.next] = vectors[i * columns + k]!;
    least.next++;
    least.log += Math.log(Math.max(values[k]! / values[0]!, 1e-12)) + 30;
  }
  return { data, rows: columns, columns };
}
