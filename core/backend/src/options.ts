import { EspalierError, suggest } from '@espalier/base';
import { backendNames } from './backend-info.js';
import type { BackendName, UseBackendOptions } from './backend-info.js';

const isBackendName = (name: unknown): name is BackendName =>
  (backendNames as readonly unknown[]).includes(name);

function checkName(name: unknown): BackendName {
  if (isBackendName(name)) return name;
  const word = String(name).replace(/^@tensorflow\/(tfjs-backend-)?/, '');
  throw new EspalierError('backend/unknown-name', {
    problem: 'useBackend: prefer names a backend that does not exist',
    received: name,
    fix:
      word === 'tensorflow'
        ? "TensorFlow.js calls both native backends 'tensorflow'; here they are 'tfjs-node-gpu' and 'tfjs-node'."
        : suggest(word.toLowerCase(), backendNames),
  });
}

/** The names to try, in order. */
export function namesToTry(prefer: UseBackendOptions['prefer']): readonly BackendName[] {
  if (prefer === undefined) return backendNames;
  const names: readonly unknown[] = Array.isArray(prefer) ? prefer : [prefer];
  if (names.length === 0) {
    throw new EspalierError('backend/prefer-empty', {
      problem: 'useBackend: prefer is an empty list',
      fix: 'Leave it out to try every backend.',
    });
  }
  return names.map(checkName);
}

export function checkThreads(threads: unknown): void {
  if (threads === undefined || (Number.isInteger(threads) && Number(threads) >= 1)) return;
  throw new EspalierError('backend/threads', {
    problem: 'useBackend: threads must be a whole number from 1',
    received: threads,
    fix: 'Leave it out for the default.',
  });
}
