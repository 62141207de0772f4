import { backendNames } from './backend-info.js';
import type { BackendName, UseBackendOptions } from './backend-info.js';
import { didYouMean } from './did-you-mean.js';

const isBackendName = (name: unknown): name is BackendName =>
  (backendNames as readonly unknown[]).includes(name);

function checkedName(name: unknown): BackendName {
  if (isBackendName(name)) return name;
  const word = String(name).replace(/^@tensorflow\/(tfjs-backend-)?/, '');
  const hint =
    word === 'tensorflow'
      ? ' TensorFlow.js calls both native backends "tensorflow"; here they are "tfjs-node-gpu" and "tfjs-node".'
      : didYouMean(word, backendNames);
  throw new TypeError(
    `useBackend: prefer has no backend ${JSON.stringify(name)}.${hint} Known: ${backendNames.join(', ')}.`,
  );
}

/** The names to try, in order. */
export function namesToTry(prefer: UseBackendOptions['prefer']): readonly BackendName[] {
  if (prefer === undefined) return backendNames;
  const names: readonly unknown[] = Array.isArray(prefer) ? prefer : [prefer];
  if (names.length === 0) {
    throw new TypeError('useBackend: prefer is an empty list; leave it out to try every backend.');
  }
  return names.map(checkedName);
}

export function checkThreads(threads: unknown): void {
  if (threads === undefined || (Number.isInteger(threads) && Number(threads) >= 1)) return;
  throw new RangeError(
    `useBackend: threads must be a whole number from 1, not ${JSON.stringify(threads) ?? String(threads)}; leave it out for the default.`,
  );
}
