import { EspalierError } from '@espalier/base';
import { Tensor } from '@tensorflow/tfjs-core';

/**
 * Refuses a tap that disposed a tensor it was only shown.
 *
 * @throws EspalierError `plugin/disposed`, naming the tensor.
 */
export function checkNotDisposed(argument: unknown): void {
  const name = disposedIn(argument);
  if (name === undefined) return;
  throw new EspalierError('plugin/disposed', {
    problem: `this tap disposed the tensor '${name}', which it does not own`,
    fix: 'Dispose only what the plugin made; the trainer frees the rest.',
  });
}

/** The name of a disposed tensor in the argument, its records, and the batches of its step. */
function disposedIn(holder: unknown): string | undefined {
  for (const key in holder as Record<string, unknown>) {
    const value = (holder as Record<string, unknown>)[key];
    if (value instanceof Tensor) {
      if (value.isDisposed) return key;
    } else if (HOLDERS.has(key) || Array.isArray(holder)) {
      const found = disposedIn(value);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

const HOLDERS = new Set(['inputs', 'targets', 'outputs', 'features', 'microBatches', 'batch']);
