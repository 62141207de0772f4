import * as tf from '@tensorflow/tfjs-core';
import type { SavedState } from '../plugins/plugin.js';
import type { Run } from '../run.js';

/** The states that plugins which tap `evaluate` had before an evaluation. */
export interface WatchingStates {
  /** Restores them: the evaluation was ended early, and will be done again from its beginning. */
  restore(): void;
  dispose(): void;
}

/** Notes the states of plugins that tap `evaluate`; one that cannot be saved now is left out. */
export function noteWatchingStates({ taps, states }: Run): WatchingStates {
  const ids = new Set(taps.listTaps('evaluate').map(({ plugin }) => plugin));
  const noted = [...states]
    .filter(([id]) => ids.has(id))
    .flatMap(([, contract]) => {
      const state = copyState(() => contract.save());
      return state ? [{ contract, state }] : [];
    });
  return {
    restore: () => noted.forEach(({ contract, state }) => contract.load(state)),
    dispose: () => noted.forEach(({ state }) => tf.dispose(state.tensors ?? {})),
  };
}

function copyState(save: () => SavedState): SavedState | undefined {
  try {
    const { json, tensors = {} } = save();
    const copies = Object.entries(tensors).map(
      ([name, tensor]) => [name, tf.keep(tf.clone(tensor))] as const,
    );
    return { json: structuredClone(json), tensors: Object.fromEntries(copies) };
  } catch {
    return undefined;
  }
}
