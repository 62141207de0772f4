import { EspalierError } from '@espalier/base';

/** Larger values could overflow in the computations. */
const LARGEST = 1e300;

/** Refuses an empty sample, and values that are not finite, by name and index. */
export function checkSample(name: string, values: readonly number[]): void {
  if (values.length === 0) {
    throw new EspalierError('study/no-values', {
      problem: `${name} holds no numbers`,
      received: values,
      fix: 'Pass one number per run.',
    });
  }
  const index = values.findIndex((value) => !(Math.abs(value) <= LARGEST));
  if (index < 0) return;
  throw new EspalierError('study/not-finite', {
    problem: `${name}[${index}] is not a finite number of at most ${LARGEST} in size`,
    received: values[index],
    fix: 'Leave that run out as failed; of paired runs, leave out both.',
  });
}

/** Refuses anything but a number between 0 and 1. */
export function checkConfidence(confidence: number): void {
  if (confidence > 0 && confidence < 1) return;
  throw new EspalierError('study/confidence', {
    problem: 'confidence must lie between 0 and 1, both excluded',
    received: confidence,
    fix: 'Pass { confidence: 0.95 }.',
  });
}

/** The same numbers by size, so that no sum depends on the order in which they came. */
export function sortAscending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}

/** The mean, exact where all numbers are equal. */
export function computeMean(values: readonly number[]): number {
  const first = values[0]!;
  return first + values.reduce((sum, value) => sum + (value - first), 0) / values.length;
}

/** The largest magnitude; 0 for no numbers. */
export function largestMagnitude(values: readonly number[]): number {
  return values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}
