import { keyedRng } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { denseEigenpairs } from './dense.js';
import type { Pairs } from './dense.js';
import { largestDiagonal } from './host-products.js';
import { orthonormalize } from './orthonormalize.js';

/** What is known of the leading pairs after a round. */
export interface Progress {
  /** Ritz values, descending; each at most the eigenvalue. */
  readonly values: Float64Array;
  /** ‖G v − λ v‖ of each. */
  readonly residuals: Float64Array;
  /** The smallest Ritz value of the block: about where the rest of the spectrum begins. */
  readonly edge: number;
}

const MAX_ROUNDS = 40;

/** Orthonormalizations per round, each after two multiplications by the matrix. */
const SWEEPS = 2;

/**
 * The leading eigenpairs by subspace iteration on a block that is a quarter larger than `count`, with
 * Rayleigh–Ritz after every round (Halko, Martinsson, Tropp 2011, §4.5; Saad 2011, ch. 5). Products
 * run on the backend in float32, orthonormalization and the small eigenproblem on the host.
 *
 * @param settled Whether the pairs are good enough.
 * @returns Undefined if they are not after 40 rounds, as where eigenvalues at the edge coincide.
 */
export async function subspaceEigenpairs(
  symmetric: Float64Array,
  size: number,
  count: number,
  settled: (progress: Progress) => boolean,
): Promise<Pairs | undefined> {
  const scale = largestDiagonal(symmetric, size);
  if (scale === 0) return undefined;
  const matrix = tf.tensor2d(
    Float32Array.from(symmetric, (value) => value / scale),
    [size, size],
  );
  try {
    let block = randomBlock(size, Math.min(size, count + Math.max(8, count >> 2)));
    for (let round = 0; round < MAX_ROUNDS; round++) {
      for (let sweep = 0; sweep < SWEEPS; sweep++) block = await sweepOnce(matrix, block);
      const { ritz, residuals } = await rayleighRitz(matrix, block);
      block = ritz.vectors;
      const values = ritz.values.map((value) => value * scale);
      const leading = values.subarray(0, count);
      const progress = { values: leading, residuals: residuals.map((r) => r * scale) };
      if (settled({ ...progress, edge: values.at(-1)! })) {
        return { values: leading, vectors: block.slice(0, count) };
      }
    }
    return undefined;
  } finally {
    matrix.dispose();
  }
}

const draw = () => keyedRng('linalg', 'subspace');

function randomBlock(size: number, width: number): readonly Float64Array[] {
  const stream = draw();
  const block = Array.from({ length: width }, () =>
    Float64Array.from({ length: size }, () => stream() - 0.5),
  );
  orthonormalize(block, stream);
  return block;
}

/** G² times the block, orthonormalized. Vectors are rows here, and G is symmetric. */
async function sweepOnce(
  matrix: tf.Tensor2D,
  block: readonly Float64Array[],
): Promise<readonly Float64Array[]> {
  const product = tf.tidy(() => tf.matMul(tf.matMul(upload(block), matrix), matrix));
  const result = splitRows(await product.data<'float32'>(), matrix.shape[0]);
  product.dispose();
  orthonormalize(result, draw());
  return result;
}

type Three = [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];

/** The best approximations to eigenpairs within the span of the block, and their residuals. */
async function rayleighRitz(matrix: tf.Tensor2D, block: readonly Float64Array[]) {
  const [rows, image, small] = tf.tidy((): Three => {
    const q = upload(block); // [width, size]
    const gq = tf.matMul(q, matrix) as tf.Tensor2D;
    return [q, gq, tf.matMul(q, gq, false, true) as tf.Tensor2D];
  });
  const width = block.length;
  const pairs = denseEigenpairs(symmetrize(await small.data<'float32'>(), width), width, width);
  const [vectors, residuals] = tf.tidy((): [tf.Tensor, tf.Tensor] => {
    const rotation = upload(pairs.vectors); // [width, width]
    const ritz = tf.matMul(rotation, rows);
    const values = tf.tensor2d(Float32Array.from(pairs.values), [width, 1]);
    const rest = tf.sub(tf.matMul(rotation, image), tf.mul(values, ritz));
    return [ritz, tf.norm(rest, 'euclidean', 1)];
  });
  const result = {
    ritz: {
      values: pairs.values,
      vectors: splitRows(await vectors.data<'float32'>(), matrix.shape[0]),
    },
    residuals: Float64Array.from(await residuals.data<'float32'>()),
  };
  tf.dispose([rows, image, small, vectors, residuals]);
  return result;
}

function upload(vectors: readonly Float64Array[]): tf.Tensor2D {
  const length = vectors[0]!.length;
  const data = new Float32Array(vectors.length * length);
  vectors.forEach((vector, k) => data.set(vector, k * length));
  return tf.tensor2d(data, [vectors.length, length]);
}

function splitRows(data: Float32Array, length: number): readonly Float64Array[] {
  return Array.from({ length: data.length / length }, (_, k) =>
    Float64Array.from(data.subarray(k * length, (k + 1) * length)),
  );
}

function symmetrize(data: Float32Array, size: number): Float64Array {
  return Float64Array.from(data, (value, at) => {
    const mirrored = (at % size) * size + Math.floor(at / size);
    return (value + data[mirrored]!) / 2;
  });
}
