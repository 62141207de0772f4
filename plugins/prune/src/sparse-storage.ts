import type {
  MatrixShape,
  MatrixStorage,
  StorageConfig,
  StoredWeight,
} from '@espalier/compression';
import { EspalierError, parseOptions } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { bitmapLength } from './bitmap.js';
import { sparseRows } from './sparse-kernels.js';

/** The kind of {@link SparseConfig}. */
export const SPARSE_KIND = 'sparse';

const sparseConfig = z.strictObject({
  kind: z.literal(SPARSE_KIND),
  /** How many numbers are kept. */
  kept: z.int().positive(),
});

/** How a pruned matrix is kept: plain JSON, a `StorageConfig`. */
export type SparseConfig = z.output<typeof sparseConfig>;

/**
 * A pruned matrix among a layer's weights: `<name>_values` float32 `[kept]`, which train, and, frozen,
 * `<name>_bitmap` int32 `[⌈rows · columns / 32⌉]` and `<name>_starts` int32 `[rows]`.
 *
 * @throws EspalierError `options/invalid`, `prune/kept`.
 */
export function sparseStorage(
  name: string,
  shape: MatrixShape,
  given: StorageConfig,
): MatrixStorage {
  const config = parseOptions('storage', sparseConfig, given);
  const [rows, columns] = shape;
  checkKept(name, config, shape);
  const [values, bitmap, starts] = ['values', 'bitmap', 'starts'].map((part) => `${name}_${part}`);
  const frozen = (part: string, length: number): StoredWeight => ({
    name: part,
    shape: [length],
    dtype: 'int32',
    trainable: false,
  });
  const gather: MatrixStorage['gather'] = (read, ids) =>
    sparseRows(
      { values: read(values!), bitmap: read(bitmap!), starts: read(starts!), rows: ids },
      { rows, columns },
    );
  return {
    config,
    weights: [
      { name: values!, shape: [config.kept], dtype: 'float32', trainable: true },
      frozen(bitmap!, bitmapLength(shape)),
      frozen(starts!, rows),
    ],
    gather,
    slice: (read, begin, size) =>
      tf.tidy(() => gather(read, tf.range(begin, begin + size, 1, 'int32') as Tensor1D)),
  };
}

function checkKept(name: string, { kept }: SparseConfig, [rows, columns]: MatrixShape): void {
  if (kept <= rows * columns) return;
  throw new EspalierError('prune/kept', {
    problem: `the pruned matrix '${name}' has ${rows} × ${columns} numbers and cannot keep more`,
    received: kept,
    fix: 'Build the layer with the configuration that was saved with its weights.',
  });
}
