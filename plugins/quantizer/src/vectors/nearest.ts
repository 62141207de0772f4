import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { findNearestOnHost } from './nearest-on-host.js';
import type { Points } from './points.js';
import { findRange, shift } from './range.js';

/** Wider points are compared by matrix products: hardly a centroid is excluded by one coordinate. */
const NARROW = 2;
/** Below so many multiplications the backend is not worth its calls. */
const LARGE = 2 ** 22;
/** Products on the backend at once. */
const PRODUCTS = 2 ** 18;

/** Finds the nearest centroid of points that stay the same. */
export interface NearestSearch {
  /**
   * Writes the number of the nearest centroid for the first `nearest.length` points.
   *
   * @param centroids `[size, width]`.
   * @param nearest Holds guesses or `UNKNOWN`, and then the result.
   */
  find(centroids: Float32Array, nearest: Int32Array): Promise<void>;
  /** Frees what lies on the backend. */
  dispose(): void;
}

/**
 * A search among these points: on the host where they are narrow or few, in float64; else by products on the
 * backend, in float32, where the nearest of nearly equal ones may be another.
 *
 * @param size How many centroids there are.
 */
export function prepareSearch(points: Points, size: number): NearestSearch {
  const { count, width } = points;
  return width > NARROW && count * width * size >= LARGE
    ? searchByProducts(points, size)
    : {
        find: async (centroids, nearest) => findNearestOnHost(points, centroids, nearest),
        dispose: () => undefined,
      };
}

/** The largest of `x·c − ½‖c‖²`: one product, since the points get a further coordinate of 1. */
function searchByProducts({ data, count, width }: Points, size: number): NearestSearch {
  const rows = Math.max(1, Math.floor(PRODUCTS / size));
  const { centre, scale } = findRange(data, width);
  const chunks = Array.from({ length: Math.ceil(count / rows) }, (_, i) => {
    const part = data.subarray(i * rows * width, Math.min(count, (i + 1) * rows) * width);
    return tf.tidy(() => uploadPoints(part, width, centre, scale));
  });
  return {
    async find(centroids, nearest) {
      const right = tf.tidy(() => uploadCentroids(centroids, width, centre, scale));
      for (let i = 0; i * rows < nearest.length; i++) {
        const best = tf.tidy(() => tf.argMax(tf.matMul(chunks[i]!, right), 1) as Tensor1D);
        const found = (await best.data()) as Int32Array;
        nearest.set(found.subarray(0, nearest.length - i * rows), i * rows);
        best.dispose();
      }
      right.dispose();
    },
    dispose: () => tf.dispose(chunks),
  };
}

function uploadPoints(data: Float32Array, width: number, centre: Float32Array, scale: number) {
  const points = shift(data, width, centre, scale);
  return tf.concat2d([points, tf.ones([points.shape[0], 1])], 1);
}

function uploadCentroids(
  centroids: Float32Array,
  width: number,
  centre: Float32Array,
  scale: number,
): Tensor2D {
  const moved = shift(centroids, width, centre, scale);
  const halves = tf.mul(tf.sum(tf.square(moved), 1, true), -0.5) as Tensor2D;
  return tf.transpose(tf.concat2d([moved, halves], 1));
}
