import { EspalierError } from '@espalier/base';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { OptimizerState } from './transform.js';

/** What a structural edit does with one slot of one parameter; `rename` moves it to another path. */
export type SlotFate = 'keep' | 'drop' | 'create' | { readonly rename: string };

/**
 * The optimizer's state for an edited model. `decide` answers for every old slot of every path, and for
 * each new one that no old one fills, for which it must answer `create`. Returns the old and fresh
 * tensors themselves and disposes none.
 *
 * @param fresh `transform.init(parameters of the edited model)`: the state that must result.
 * @throws EspalierError `optim/slot-fate` where a slot has no place, another shape or no source.
 * @example
 * migrateOptimizerState(state, fresh, (slot, path) =>
 *   path === 'fc/kernel' ? 'drop' : path.startsWith('fc_low_rank/') ? 'create' : 'keep',
 * );
 */
export function migrateOptimizerState(
  state: OptimizerState,
  fresh: OptimizerState,
  decide: (slot: string, path: string) => SlotFate,
): OptimizerState {
  const moved: Record<string, Record<string, Tensor>> = {};
  for (const [slot, path, tensor] of listEntries(state)) {
    const fate = decide(slot, path);
    if (fate === 'drop' || fate === 'create') continue;
    const to = fate === 'keep' ? path : fate?.rename;
    const place = fresh[slot]?.[to];
    const table = (moved[slot] ??= {});
    if (!place || table[to] || String(place.shape) !== String(tensor.shape)) {
      throw fateError(`'${slot}' of '${path}' has no place of its shape in the edited model`, fate);
    }
    table[to] = tensor;
  }
  for (const [slot, path, tensor] of listEntries(fresh)) {
    const table = (moved[slot] ??= {});
    if (table[path]) continue;
    const fate = decide(slot, path);
    if (fate !== 'create') throw fateError(`nothing becomes '${slot}' of '${path}'`, fate);
    table[path] = tensor;
  }
  return moved;
}

/**
 * The optimizer's state for other parameters by the usual rule: keeps old tensors where path and shape
 * match, drops those without a parameter, and takes the rest from `fresh`. Disposes none.
 *
 * @param fresh `transform.init(parameters)`: the state that must result.
 * @example
 * const next = followOptimizerState(state, optimizer.init(params));
 */
export function followOptimizerState(state: OptimizerState, fresh: OptimizerState): OptimizerState {
  return migrateOptimizerState(state, fresh, (slot, path) => {
    const place = fresh[slot]?.[path];
    if (!place) return 'drop';
    return String(state[slot]?.[path]?.shape) === String(place.shape) ? 'keep' : 'create';
  });
}

function listEntries(
  state: OptimizerState,
): (readonly [slot: string, path: string, tensor: Tensor])[] {
  return Object.entries(state).flatMap(([slot, tensors]) =>
    Object.entries(tensors).map(([path, tensor]) => [slot, path, tensor] as const),
  );
}

function fateError(problem: string, received: unknown): EspalierError {
  const fix = "Answer 'keep', 'drop', 'create' or { rename: path } for each slot and path.";
  return new EspalierError('optim/slot-fate', {
    problem: `migrateOptimizerState: ${problem}`,
    received,
    fix,
  });
}
