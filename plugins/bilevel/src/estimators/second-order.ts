import { EspalierError } from '@espalier/core';

/**
 * Runs what takes a second derivative; where an op has none, the error names the op.
 *
 * @throws EspalierError `bilevel/second-order`.
 */
export function withSecondOrder<T>(estimator: string, fix: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const op = /gradient function not found for (\w+)/.exec(String(error))?.[1];
    if (op === undefined) throw error;
    throw new EspalierError('bilevel/second-order', {
      problem: `estimator '${estimator}': the op ${op} has no second derivative in TensorFlow.js`,
      fix,
      cause: error,
    });
  }
}
