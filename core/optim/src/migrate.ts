import { EspalierError } from '@espalier/base';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { OptimizerState } from './transform.js';

/** What a structural edit does with the slot of one path; `rename` moves it to another path. */
export type SlotFate = 'keep' | 'drop' | 'create' | { readonly rename: string };

/**
 * Slots for an edited model. `fateOf` is asked about every old slot of every path, and about each
 * new one that no old one fills, which must be `create`. Returns the old and fresh tensors
 * themselves and disposes none.
 *
 * @param fresh `transform.init(parameters of the edited model)`: the slots that must result.
 * @throws EspalierError `optim/slot-fate` where a slot has no place, another shape or no source.
 * @example
 * migrateOptimizerState(slots, fresh, (slot, path) =>
 *   path === 'fc/kernel' ? 'drop' : path.startsWith('fc_low_rank/') ? 'create' : 'keep',
 * );
 */
export function migrateOptimizerState(
  slots: OptimizerState,
  fresh: OptimizerState,
  fateOf: (slot: string, path: string) => SlotFate,
): OptimizerState {
  const moved: Record<string, Record<string, Tensor>> = {};
  for (const [slot, path, tensor] of listEntries(slots)) {
    const fate = fateOf(slot, path);
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
    const fate = fateOf(slot, path);
    if (fate !== 'create') throw fateError(`nothing becomes '${slot}' of '${path}'`, fate);
    table[path] = tensor;
  }
  return moved;
}

/**
 * Slots for other parameters by the usual rule: of `slots`, what still has its path and shape is kept,
 * what lost its parameter is dropped, and the rest is that of `fresh`. Disposes none.
 *
 * @param fresh `transform.init(parameters)`: the slots that must result.
 */
export function followOptimizerState(slots: OptimizerState, fresh: OptimizerState): OptimizerState {
  return migrateOptimizerState(slots, fresh, (slot, path) => {
    const place = fresh[slot]?.[path];
    if (!place) return 'drop';
    return String(slots[slot]?.[path]?.shape) === String(place.shape) ? 'keep' : 'create';
  });
}

function listEntries(
  slots: OptimizerState,
): (readonly [slot: string, path: string, tensor: Tensor])[] {
  return Object.entries(slots).flatMap(([slot, tensors]) =>
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
