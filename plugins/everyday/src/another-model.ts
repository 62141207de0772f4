import type { StructureChange } from '@espalier/core';

/** Whether the model has other parameters than before, so that earlier numbers are no measure for it. */
export function isAnotherModel({ added, dropped, reshaped }: StructureChange): boolean {
  return [added, dropped, reshaped].some((paths) => paths.length > 0);
}
