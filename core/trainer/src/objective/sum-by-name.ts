import type { NamedTensors } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';

/** The sum of records of tensors, name by name; a record may lack names that others have. */
export function sumByName(records: readonly NamedTensors[]): NamedTensors {
  if (records.length === 1) return records[0]!;
  const names = new Set(records.flatMap((record) => Object.keys(record)));
  const sum = (name: string) => {
    const found = records.flatMap((record) => record[name] ?? []);
    return found.length === 1 ? found[0]! : tf.addN(found);
  };
  return Object.fromEntries([...names].map((name) => [name, sum(name)]));
}
