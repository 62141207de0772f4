import type { LayersModel } from '@tensorflow/tfjs-layers';
import { canonicalNames } from '../weights/parameters.js';
import { numberDuplicates } from './names.js';
import type { OwnNames } from './names.js';

/**
 * Canonical names by the names that the layers and outputs of a model have in TensorFlow.js, where the two differ.
 *
 * @example
 * listOwnNames(model); // { dense_Dense1: 'dense_1' }
 */
export function listOwnNames(model: LayersModel): OwnNames {
  const names = canonicalNames(model);
  const sources = model.outputs.map(({ sourceLayer }) => sourceLayer);
  const canonical = numberDuplicates(sources.map((layer) => names.get(layer)!));
  const own = numberDuplicates(sources.map(({ name }) => name));
  const all = [
    ...[...names].map(([{ name }, known]) => [name, known] as const),
    ...own.map((name, i) => [name, canonical[i]!] as const),
  ];
  return Object.fromEntries(all.filter(([name, known]) => name !== known));
}
