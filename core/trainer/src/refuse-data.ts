import { EspalierError } from '@espalier/base';
import { Tensor } from '@tensorflow/tfjs-core';

/** What methods take in place of data, and how to give it. */
const TAKES = {
  fit: {
    takes: 'options',
    fix: 'Give the data to createSession, as train: arraySource({ x, y, batchSize: 32 }) (a tf.data.Dataset: datasetSource), and call session.fit({ epochs: 5 }); or keep model.fit(x, y, …) as it is: await attach(model, preset), of @espalier/attach.',
  },
  evaluate: {
    takes: 'a source',
    fix: 'Make a source of it: session.evaluate(arraySource({ x, y, batchSize: 32 })); or keep model.evaluate(x, y): await attach(model, preset), of @espalier/attach.',
  },
  step: { takes: 'a batch', fix: 'Give both in one: session.step({ x, y }).' },
  loss: { takes: 'a batch', fix: 'Give both in one: session.loss({ x, y }).' },
  batch: { takes: 'a batch', fix: 'Give both in one: session.batch({ x, y }, key).' },
};

/**
 * Refuses `fit(x, y, …)`, `evaluate(x, y)` and their kin, as a `LayersModel` takes them.
 *
 * @param second What was given behind it.
 * @throws EspalierError `session/data`.
 */
export function refuseData(method: keyof typeof TAKES, given: unknown, second?: unknown): void {
  const { takes, fix } = TAKES[method];
  const found = isData(given, takes) ? given : second instanceof Tensor ? second : undefined;
  if (found === undefined) return;
  throw new EspalierError('session/data', {
    problem: `session.${method} takes ${takes}, not data`,
    received: found instanceof Tensor ? found : describeClass(found),
    fix,
  });
}

function describeClass(given: unknown): string {
  return (given as object).constructor?.name ?? 'object';
}

/** Tensors, numbers, records of them, data sets of tf.data; a batch or several where one is taken. */
function isData(given: unknown, takes: string): boolean {
  if (given instanceof Tensor || ArrayBuffer.isView(given)) return true;
  const isBatch = takes === 'a batch';
  if (Array.isArray(given)) return !isBatch || given.some((each) => isData(each, takes));
  if (typeof given !== 'object' || given === null) return false;
  if ('iterate' in given) return takes !== 'a source';
  const own = ['dataId', 'forEachAsync', 'data', 'xs', ...(isBatch ? [] : ['x'])];
  return own.some((key) => key in given);
}
