import { keyedRng } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';

/** Agreement of two gradients. */
export interface Agreement {
  /** Cosine of the angle between them; 1 is perfect. */
  readonly cosine: number;
  /** ‖a − b‖ / max(‖a‖, ‖b‖); 0 is perfect. */
  readonly relativeError: number;
}

/**
 * Central finite differences of a scalar function of tensors, coordinate by coordinate, in the
 * order and shapes of `xs`. Costs two evaluations per coordinate. Float32 calls for a large step:
 * default 1e-2.
 */
export function finiteDifferences(
  f: (...xs: Tensor[]) => Scalar,
  xs: readonly Tensor[],
  step = 1e-2,
): Float32Array[] {
  const at = (k: number, i: number, delta: number) =>
    tf.tidy(() => {
      const moved = xs[k]!.dataSync().slice() as Float32Array;
      moved[i] = moved[i]! + delta;
      const copy = tf.tensor(moved, xs[k]!.shape);
      return f(...xs.map((x, j) => (j === k ? copy : x))).dataSync()[0]!;
    });
  return xs.map((x, k) =>
    Float32Array.from(
      { length: x.size },
      (_, i) => (at(k, i, step) - at(k, i, -step)) / (2 * step),
    ),
  );
}

/**
 * The directional derivative along a seeded random direction, from central differences and from
 * gradients: checks gradients of many parameters with two evaluations. `[numeric, analytic]`.
 */
export function directional(
  f: (...xs: Tensor[]) => Scalar,
  xs: readonly Tensor[],
  gradients: readonly Tensor[],
  { seed = 0, step = 1e-2 } = {},
): readonly [numeric: number, analytic: number] {
  return tf.tidy(() => {
    const draw = keyedRng(seed, 'direction');
    const raw = xs.map((x) =>
      tf.tensor(
        Float32Array.from({ length: x.size }, () => 2 * draw() - 1),
        x.shape,
      ),
    );
    const norm = Math.sqrt(raw.reduce((sum, v) => sum + tf.sum(tf.square(v)).dataSync()[0]!, 0));
    const along = (delta: number) =>
      f(...xs.map((x, i) => tf.add(x, tf.mul(raw[i]!, delta / norm)))).dataSync()[0]!;
    const analytic = gradients.reduce(
      (sum, g, i) => sum + tf.sum(tf.mul(g, raw[i]!)).dataSync()[0]! / norm,
      0,
    );
    return [(along(step) - along(-step)) / (2 * step), analytic] as const;
  });
}

/** Compares two gradients of any shape, flattened and joined. */
export function agreement(
  a: readonly ArrayLike<number>[],
  b: readonly ArrayLike<number>[],
): Agreement {
  const [u, v] = [a, b].map((parts) => parts.flatMap((part) => Array.from(part)));
  const dot = (p: number[], q: number[]) => p.reduce((sum, x, i) => sum + x * q[i]!, 0);
  const [nu, nv] = [Math.sqrt(dot(u!, u!)), Math.sqrt(dot(v!, v!))];
  const gap = Math.sqrt(u!.reduce((sum, x, i) => sum + (x - v![i]!) ** 2, 0));
  const largest = Math.max(nu, nv);
  if (largest === 0) return { cosine: 1, relativeError: 0 };
  return { cosine: dot(u!, v!) / (nu * nv || 1), relativeError: gap / largest };
}
