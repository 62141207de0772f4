/** A uniform draw in [0, 1). */
export type Rng = () => number;

/** The stream that goes by a key; equal keys, equal draws. */
export type StreamByKey = (...key: readonly string[]) => Rng;

/**
 * Runs `fn` with `Math.random` served from `draw`, and puts it back whatever happens. TensorFlow.js
 * draws dropout masks and initial weights from `Math.random`; this is the only place that touches it.
 * `fn` must be synchronous: anything asynchronous would leak the draws into foreign code.
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
