import type { StructureChange } from '@espalier/core';

/**
 * Whether the model is another one than before, so that earlier numbers are no measure for it; not where only
 * `trainable` changed.
 */
export function isAnotherModel(change: StructureChange): boolean {
  const { added, dropped, reshaped, frozen, unfrozen } = change;
  const onlyTrainable = frozen.length + unfrozen.length > 0;
  return !onlyTrainable || [added, dropped, reshaped].some((paths) => paths.length > 0);
}
