/** A uniform draw in [0, 1). */
export type Rng = () => number;

/** The stream that goes by a key; equal keys, equal draws. */
export type StreamByKey = (...key: readonly string[]) => Rng;

/**
 * Runs `fn` with `Math.random` replaced by `draw`, and restores it in any case. TensorFlow.js draws dropout
 * masks and initial weights from `Math.random`; only this function touches it. `fn` must be synchronous:
 * code that runs later would draw from the original.
 *
 * @example
 * const kernel = withRandom(keyedRng(0, 'kernel'), () => tf.randomUniform([2, 3]));
 */
export function withRandom<T>(draw: Rng, fn: () => T): T {
  const original = Math.random;
  Math.random = draw;
  try {
    return fn();
  } finally {
    Math.random = original;
  }
}
