import type { VerifyReference } from './reference.js';
import type { VerifiedEstimator } from './verify.js';

const HEADER = ['estimator', 'cosine', 'relative error', 'ms', 'peak tensors', 'peak kB'];

/** Results as aligned text, with the reference and what failed below. */
export function table(
  results: readonly VerifiedEstimator[],
  reference: VerifyReference,
  failed: Readonly<Record<string, string>>,
): string {
  const { uncertainty } = reference;
  const plusMinus = uncertainty === undefined ? '' : ` ± ${uncertainty.toExponential(1)}`;
  const rows = results.map((each) => [
    each.estimator,
    each.cosine.toFixed(7),
    `${each.relativeError.toExponential(1)}${plusMinus}`,
    each.milliseconds.toFixed(1),
    String(each.peakTensors),
    (each.peakBytes / 1000).toFixed(1),
  ]);
  const within = results.filter((each) => each.withinUncertainty).map((each) => each.estimator);
  return [
    ...align([HEADER, ...rows]),
    describe(reference),
    ...(within.length > 0 ? [`within the reference's uncertainty: ${within.join(', ')}`] : []),
    ...Object.entries(failed).map(([name, why]) => `${name}: ${why}`),
  ].join('\n');
}

function align(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = HEADER.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  '),
  );
}

function describe({ kind, step, compared, skipped }: VerifyReference): string {
  if (kind === 'estimator') return `reference: an estimator, ${compared} numbers of φ`;
  const left = skipped > 0 ? `, ${skipped} left out (kinks)` : '';
  return `reference: differences of the outer loss, step ${step!.toPrecision(2)} in φ, ${compared} directions${left}`;
}
