/** How sure an exit is of an example: a number to compare with the threshold. */
export type ExitPolicy = (probabilities: Float64Array) => number;

/** The largest probability; the policy of MSDNet and of most early-exit work. */
export const maxProbability: ExitPolicy = (probabilities) => Math.max(...probabilities);

/** What an exit says about some examples. */
export interface Verdicts {
  readonly labels: Int32Array;
  readonly confidence: Float64Array;
  /** `[examples × classes]`, row by row. */
  readonly probabilities: Float32Array;
}

/**
 * Probabilities, the likeliest class and the confidence of every row of logits. On the host and in
 * double precision, so that a cached logit decides exactly as a fresh one.
 */
export function judge(logits: ArrayLike<number>, classes: number, policy: ExitPolicy): Verdicts {
  const examples = logits.length / classes;
  const labels = new Int32Array(examples);
  const confidence = new Float64Array(examples);
  const probabilities = new Float32Array(logits.length);
  for (let row = 0; row < examples; row++) {
    const start = row * classes;
    const softmax = computeSoftmax(logits, start, classes);
    probabilities.set(softmax, start);
    labels[row] = softmax.indexOf(Math.max(...softmax));
    confidence[row] = policy(softmax);
  }
  return { labels, confidence, probabilities };
}

function computeSoftmax(logits: ArrayLike<number>, start: number, classes: number): Float64Array {
  let largest = -Infinity;
  for (let i = 0; i < classes; i++) largest = Math.max(largest, logits[start + i]!);
  const powers = Float64Array.from({ length: classes }, (_, i) =>
    Math.exp(logits[start + i]! - largest),
  );
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
