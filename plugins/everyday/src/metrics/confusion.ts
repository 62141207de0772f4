/** What is said of the classes of examples. */
export type Score = 'precision' | 'recall' | 'f1';

/**
 * How the scores of classes become one: `macro` is their mean over classes that occur, `micro` takes all
 * classes' outcomes together, `positive` is that of class 1 of two, `classes` gives each.
 */
export type Average = 'macro' | 'micro' | 'positive' | 'classes';

/** Weights of examples of a class that were found, of others taken for it, and of those that were missed. */
export interface Outcomes {
  readonly found: number;
  readonly mistaken: number;
  readonly missed: number;
}

/**
 * The outcomes of each class.
 *
 * @param confusion Weights of examples: `confusion[actual][predicted]`.
 * @example
 * countOutcomes([[8, 2], [1, 9]])[1]; // { found: 9, mistaken: 2, missed: 1 }
 */
export function countOutcomes(confusion: readonly (readonly number[])[]): Outcomes[] {
  return confusion.map((row, id) => {
    const found = row[id]!;
    const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
    return {
      found,
      mistaken: sum(confusion.map((other) => other[id]!)) - found,
      missed: sum(row) - found,
    };
  });
}

/**
 * Precision, recall or F1 of classes, by the name of the average's part: `''`, or the class id where each is
 * given. As scikit-learn: 0 where nothing was found, and classes that neither occur nor are predicted are left
 * out of `macro` (NaN of their own).
 *
 * @example
 * scoreOutcomes('f1', countOutcomes([[8, 2], [1, 9]]), 'macro'); // { '': 0.8496 }
 */
export function scoreOutcomes(
  score: Score,
  outcomes: readonly Outcomes[],
  average: Average,
): Readonly<Record<string, number>> {
  const each = outcomes.map((one) => computeScore(score, one));
  if (average === 'classes') return Object.fromEntries(each.map((value, id) => [id, value]));
  if (average === 'micro') return { '': computeScore(score, addOutcomes(outcomes)) };
  if (average === 'positive') return { '': each[1]! };
  const there = each.filter((value) => !Number.isNaN(value));
  return { '': there.reduce((sum, value) => sum + value, 0) / there.length };
}

function computeScore(score: Score, { found, mistaken, missed }: Outcomes): number {
  if (found + mistaken + missed === 0) return NaN;
  if (found === 0) return 0;
  if (score === 'precision') return found / (found + mistaken);
  if (score === 'recall') return found / (found + missed);
  return (2 * found) / (2 * found + mistaken + missed);
}

function addOutcomes(outcomes: readonly Outcomes[]): Outcomes {
  const sum = (of: keyof Outcomes) => outcomes.reduce((total, each) => total + each[of], 0);
  return { found: sum('found'), mistaken: sum('mistaken'), missed: sum('missed') };
}

/**
 * A confusion matrix as text: a row for each actual class, a column for each predicted one.
 *
 * @param names Of the classes; default their ids.
 * @example
 * session.telemetry.on('report', ({ what, data }) => {
 *   if (what === 'confusion') console.log(printConfusion(data.matrix, ['cat', 'dog']));
 * });
 */
export function printConfusion(
  matrix: readonly (readonly number[])[],
  names: readonly string[] = matrix.map((_, id) => String(id)),
): string {
  const cell = (value: number) => String(Math.round(value * 100) / 100);
  const rows = [
    ['actual \\ predicted', ...names],
    ...matrix.map((row, id) => [names[id]!, ...row.map(cell)]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const pad = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!);
  return rows.map((row) => row.map(pad).join('  ')).join('\n');
}
