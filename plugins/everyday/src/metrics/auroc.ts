/** Scores of examples, and which of them are of the class. */
export interface Scored {
  /** The larger, the more the example is of the class. */
  readonly scores: ArrayLike<number>;
  /** Whether the example at an index is of the class. */
  readonly isPositive: (index: number) => boolean;
  /** Absent: each counts 1. */
  readonly weights?: ArrayLike<number>;
}

/**
 * The area under the ROC curve: the share of pairs of an example of the class and another one in which the
 * first has the larger score; ties count half. Exact, by ranks. NaN where one of the two kinds is missing, or a
 * score is NaN. Examples of weight 0 do not count.
 *
 * @example
 * computeAuroc({ scores: [0.1, 0.4, 0.35, 0.8], isPositive: (i) => i >= 2 }); // 0.75
 */
export function computeAuroc({ scores, isPositive, weights }: Scored): number {
  const weightOf = (i: number) => weights?.[i] ?? 1;
  const order = Array.from({ length: scores.length }, (_, i) => i).filter((i) => weightOf(i) > 0);
  if (order.some((i) => Number.isNaN(scores[i]))) return NaN;
  order.sort((a, b) => scores[a]! - scores[b]!);
  let [won, positives, negatives] = [0, 0, 0];
  for (let start = 0, end = 0; start < order.length; start = end) {
    let [positive, negative] = [0, 0];
    for (; end < order.length && scores[order[end]!] === scores[order[start]!]; end++) {
      if (isPositive(order[end]!)) positive += weightOf(order[end]!);
      else negative += weightOf(order[end]!);
    }
    won += positive * (negatives + negative / 2);
    positives += positive;
    negatives += negative;
  }
  return won / (positives * negatives);
}
