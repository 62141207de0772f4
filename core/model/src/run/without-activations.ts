import type { Layer } from '../weights/parameters.js';

/** A layer and the property that holds its activation. */
export interface SwappedActivation {
  readonly layer: Layer;
  readonly field: 'activation' | 'softmax';
}

const identity = <T>(x: T): T => x;
/**
 * Gives what it gets. It is no 'linear', for which tfjs would take another kernel than for the softmax or sigmoid in
 * its place: one for product and bias together, which rounds otherwise.
 */
const NONE = { apply: identity, getClassName: () => 'none' };

/** Runs `fn` with layers as if they ended before their softmax or sigmoid, and no longer than that. */
export function withoutActivations<T>(swapped: readonly SwappedActivation[], fn: () => T): T {
  const holders = swapped.map(({ layer, field }) => ({
    layer: layer as unknown as Record<string, unknown>,
    field,
    own: (layer as unknown as Record<string, unknown>)[field],
  }));
  try {
    for (const { layer, field } of holders) {
      layer[field] = field === 'activation' ? NONE : identity;
    }
    return fn();
  } finally {
    for (const { layer, field, own } of holders) layer[field] = own;
  }
}
