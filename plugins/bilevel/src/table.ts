import type { VerifiedEstimator } from './verify.js';

const HEADER = ['estimator', 'cosine', 'relative error', 'ms', 'peak tensors', 'peak kB'];

/** Results as aligned text, with what failed below. */
export function table(
  results: readonly VerifiedEstimator[],
  failed: Readonly<Record<string, string>>,
): string {
  const rows = results.map((each) => [
    each.estimator,
    each.cosine.toFixed(7),
    each.relativeError.toExponential(1),
    each.milliseconds.toFixed(1),
    String(each.peakTensors),
    (each.peakBytes / 1000).toFixed(1),
  ]);
  const all = [HEADER, ...rows];
  const widths = HEADER.map((_, i) => Math.max(...all.map((row) => row[i]!.length)));
  const lines = all.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  '),
  );
  return [...lines, ...Object.entries(failed).map(([name, why]) => `${name}: ${why}`)].join('\n');
}
