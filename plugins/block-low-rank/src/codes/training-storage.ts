import type {
  MatrixShape,
  MatrixStorage,
  ReadWeight,
  StorageConfig,
  StoredWeight,
} from '@espalier/compression';
import * as tf from '@tensorflow/tfjs-core';
import { sliceColumns } from './storage.js';
import { TrainedRows } from './trained-rows.js';
import { computeTrainingLayout } from './training-layout.js';
import type { TrainingPart } from './training-layout.js';

const TRAINABLE: readonly string[] = ['u', 'basis', 'scales'] satisfies TrainingPart[];

/**
 * A matrix that trains in float32 and is used as its codes would be: the weights `<name>_u` (coefficients, block after
 * block), `_basis` and `_scales` train; `_lengths` of rows, `_ranges` and `_positions` are frozen. All are of rank 1.
 */
export function trainingStorage(
  name: string,
  shape: MatrixShape,
  given: StorageConfig,
): MatrixStorage {
  const training = computeTrainingLayout(given, shape);
  const { config, layout, parts } = training;
  const weights = Object.entries(parts).map(([part, length]): StoredWeight => ({
    name: `${name}_${part}`,
    shape: [length],
    dtype: part === 'positions' ? 'int32' : 'float32',
    trainable: TRAINABLE.includes(part),
  }));
  const rows = (read: ReadWeight) =>
    new TrainedRows(training, (part) => (part in parts ? read(`${name}_${part}`) : undefined));
  const slice: MatrixStorage['slice'] = (read, begin, size) =>
    tf.tidy(() => rows(read).slice(begin, size));
  const scores: MatrixStorage['scores'] = (read, x) => tf.tidy(() => rows(read).scores(x));
  if (layout.config.transposed) {
    return { config, weights, ...sliceColumns(slice, layout.rows), multiply: scores };
  }
  const gather: MatrixStorage['gather'] = (read, ids) => tf.tidy(() => rows(read).gather(ids));
  return { config, weights, gather, slice, scores };
}
