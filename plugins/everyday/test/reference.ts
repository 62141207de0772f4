import { keyedRng } from '@espalier/core';

/** What a classifier said of examples, on the host. */
export interface Judged {
  readonly actual: readonly number[];
  /** Of each example, by class. */
  readonly scores: readonly (readonly number[])[];
  readonly weights: readonly number[];
}

/** Seeded scores of few kinds, so that many examples tie, and weights of which some are 0. */
export function drawJudged(examples: number, classes: number): Judged {
  const draw = keyedRng(3, 'judged', classes);
  const times = <T>(n: number, make: () => T) => Array.from({ length: n }, make);
  const kinds = times(6, () => times(classes, () => Math.fround(2 * draw())));
  return {
    actual: times(examples, () => Math.floor(draw() * classes)),
    scores: times(examples, () => kinds[Math.floor(draw() * kinds.length)]!),
    weights: times(examples, () => Math.floor(draw() * 4) / 2),
  };
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;

function weightOf({ weights }: Judged, counts: (i: number) => boolean): number {
  return sum(weights.filter((_, i) => counts(i)));
}

/** Precision, recall and F1 of a class, by their definitions. */
export function scoresOf(judged: Judged, predicted: readonly number[], id: number) {
  const { actual } = judged;
  const found = weightOf(judged, (i) => actual[i] === id && predicted[i] === id);
  const said = weightOf(judged, (i) => predicted[i] === id);
  const there = weightOf(judged, (i) => actual[i] === id);
  const [precision, recall] = [said ? found / said : 0, there ? found / there : 0];
  const f1 = found ? (2 * precision * recall) / (precision + recall) : 0;
  return { precision, recall, f1 };
}

/** Over all pairs of examples. */
export function aurocOf(
  { actual, weights }: Judged,
  scores: readonly number[],
  id: number,
): number {
  const pairs = actual.flatMap((one, i) =>
    actual.flatMap((other, j) => {
      if (one !== id || other === id) return [];
      const won = scores[i]! > scores[j]! ? 1 : scores[i] === scores[j] ? 0.5 : 0;
      return [{ won, weight: weights[i]! * weights[j]! }];
    }),
  );
  return sum(pairs.map(({ won, weight }) => won * weight)) / sum(pairs.map(({ weight }) => weight));
}

/** Metrics of classes, by their definitions. */
export function referenceOf(judged: Judged) {
  const { actual, scores, weights } = judged;
  const ids = scores[0]!.map((_, id) => id);
  const predicted = scores.map((row) => row.indexOf(Math.max(...row)));
  const each = ids.map((id) => scoresOf(judged, predicted, id));
  const probabilities = scores.map((row) => {
    const exponentials = row.map(Math.exp);
    return exponentials.map((value) => value / sum(exponentials));
  });
  const right = weightOf(judged, (i) => actual[i] === predicted[i]) / sum([...weights]);
  const second = (i: number) =>
    scores[i]!.filter((score) => score > scores[i]![actual[i]!]!).length < 2;
  return {
    accuracy: right,
    f1: mean(each.map(({ f1 }) => f1)),
    'f1/micro': right,
    'f1/1': each[1]!.f1,
    precision: mean(each.map(({ precision }) => precision)),
    recall: mean(each.map(({ recall }) => recall)),
    auroc: mean(
      ids.map((id) =>
        aurocOf(
          judged,
          probabilities.map((row) => row[id]!),
          id,
        ),
      ),
    ),
    'top-2': weightOf(judged, second) / sum([...weights]),
    confusion: ids.map((a) =>
      ids.map((p) => weightOf(judged, (i) => actual[i] === a && predicted[i] === p)),
    ),
  };
}
