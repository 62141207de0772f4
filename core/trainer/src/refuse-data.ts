import { Tensor } from '@tensorflow/tfjs-core';
import { EspalierError } from '@espalier/errors';

const FIXES = {
  fit: 'Give the data to createSession, as train: arraySource({ x: { data, shape }, y, batchSize: 32 }), and call session.fit({ epochs: 5 }).',
  evaluate:
    'Make a source of it: session.evaluate(arraySource({ x: { data, shape }, y, batchSize: 32 })).',
};

/**
 * Refuses `fit(x, y, …)` and `evaluate(x, y)`, as a `LayersModel` takes them.
 *
 * @throws EspalierError `session/data`.
 */
export function refuseData(method: keyof typeof FIXES, given: unknown): void {
  if (!isData(given, method)) return;
  throw new EspalierError('session/data', {
    problem: `session.${method} takes ${method === 'fit' ? 'options' : 'a source'}, not data`,
    received: given instanceof Tensor ? given : kindOf(given),
    fix: FIXES[method],
  });
}

function kindOf(given: unknown): string {
  return (given as object).constructor?.name ?? 'object';
}

/** Tensors, arrays, records of them, data sets of tf.data; for `fit` sources too. */
function isData(given: unknown, method: keyof typeof FIXES): boolean {
  if (given instanceof Tensor || Array.isArray(given) || ArrayBuffer.isView(given)) return true;
  if (typeof given !== 'object' || given === null) return false;
  if ('iterate' in given) return method === 'fit';
  return ['dataId', 'forEachAsync', 'data', 'x', 'xs'].some((key) => key in given);
}
