import { EspalierError } from '@espalier/core';

/** How sure an exit is of an example: a number to compare with the threshold. */
export type ExitPolicy = (probabilities: Float64Array) => number;

/** The largest probability; the policy of MSDNet and of most early-exit work. */
export const maxProbability: ExitPolicy = (probabilities) => Math.max(...probabilities);

/** What an exit says about some examples. */
export interface Verdicts {
  /** The likeliest class of each example. */
  readonly labels: Int32Array;
  /** What the policy says of each example; a threshold is compared with it. */
  readonly confidence: Float64Array;
  /** `[examples × classes]`, row by row. */
  readonly probabilities: Float32Array;
}

/**
 * Probabilities, the likeliest class and the confidence of every row of logits. On the host and in
 * double precision, so that a cached logit decides exactly as a fresh one.
 *
 * @param logits `[examples × classes]`, row by row: the data of a tensor.
 * @example
 * const verdicts = judgeExit(await logits.data(), 10);
 */
export function judgeExit(
  logits: ArrayLike<number>,
  classes: number,
  policy: ExitPolicy = maxProbability,
): Verdicts {
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

/** Where each example leaves, and what it is taken for. */
export interface ExitChoice {
  /** Index of the exit for each example. */
  readonly exitOf: Int32Array;
  /** Class ids `[examples]`, each from the exit that its example takes. */
  readonly labels: Int32Array;
}

/**
 * The first exit whose confidence reaches the threshold, for each example; the last exit takes the rest
 * (BranchyNet, Teerapittayanon et al. 2016).
 *
 * @param exits Verdicts of all exits on the same examples, shallowest exit first.
 * @throws EspalierError `early-exit/verdicts`: no exit, or exits on different examples.
 * @example
 * const verdicts = logitsOfExits.map((logits) => judgeExit(logits, 10));
 * const { exitOf, labels } = chooseExits(verdicts, 0.9);
 */
export function chooseExits(exits: readonly Verdicts[], threshold: number): ExitChoice {
  checkVerdicts(exits);
  const last = exits.length - 1;
  const exitOf = exits[last]!.labels.map((_, example) => {
    const sure = exits.findIndex(({ confidence }) => isSure(confidence[example]!, threshold));
    return sure < 0 ? last : sure;
  });
  return { exitOf, labels: exitOf.map((exit, example) => exits[exit]!.labels[example]!) };
}

function checkVerdicts(exits: readonly Verdicts[]): void {
  const examples = exits.map(({ labels }) => labels.length);
  if (new Set(examples).size === 1) return;
  throw new EspalierError('early-exit/verdicts', {
    problem: 'chooseExits() needs the verdicts of one exit or more, all on the same examples',
    received: examples,
    fix: 'Give the result of judgeExit() for each exit, shallowest first.',
  });
}

/** Whether an example leaves. */
export function isSure(confidence: number, threshold: number): boolean {
  return confidence >= threshold;
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
