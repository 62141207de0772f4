import type {
  MatrixShape,
  MatrixStorage,
  ReadWeight,
  StorageConfig,
  StoredWeight,
} from '@espalier/compression';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { BlockCodesTensors, CodedFormat } from './host-memory.js';
import { decodeBlockCodes, scoreBlockCodes, sumBlockCodes } from './kernels.js';
import { computeLayout } from './layout.js';
import type { BlockCodesLayout, BlockCodesPart } from './layout.js';

/**
 * A matrix in codes of blocks among a layer's weights, all of rank 1 and frozen: `<name>_codes`, `_basis`, `_scales`
 * and `_map` int32 words, `_ranges` float32.
 */
export function blockCodesStorage(
  name: string,
  shape: MatrixShape,
  given: StorageConfig,
): MatrixStorage {
  const layout = computeLayout(given, shape);
  const parts = Object.entries(layout.parts) as [BlockCodesPart, number][];
  const weights = parts.map(([part, length]): StoredWeight => ({
    name: `${name}_${part}`,
    shape: [length],
    dtype: part === 'ranges' ? 'float32' : 'int32',
    trainable: false,
  }));
  const readParts = (read: ReadWeight): BlockCodesTensors =>
    Object.fromEntries(parts.map(([part]) => [part, read(`${name}_${part}`)]));
  const codes = accessCodes({ layout, known: new WeakMap() }, readParts);
  const { config, rows } = layout;
  if (!config.transposed) return { config, weights, ...codes };
  const { slice, scores, multiply } = codes;
  return { config, weights, ...sliceColumns(slice, rows), scores: multiply, multiply: scores };
}

type Access = Pick<MatrixStorage, 'gather' | 'slice'> &
  Required<Pick<MatrixStorage, 'scores' | 'multiply'>>;

/** The matrix whose rows are coded. */
function accessCodes(
  format: CodedFormat,
  readParts: (read: ReadWeight) => BlockCodesTensors,
): Access {
  const { layout } = format;
  const all = (read: ReadWeight) => slice(read, 0, layout.rows);
  const slice: Access['slice'] = (read, begin, size) =>
    decodeBlockCodes(readParts(read), { begin, size }, format);
  return {
    gather: (read, rows) => decodeBlockCodes(readParts(read), rows, format),
    slice,
    scores: (read, x) =>
      paysToProject(x, layout)
        ? scoreBlockCodes(readParts(read), x, format)
        : tf.tidy(() => tf.matMul(x, all(read), false, true)),
    multiply: (read, x) =>
      paysToProject(x, layout)
        ? sumBlockCodes(readParts(read), x, format)
        : tf.tidy(() => tf.matMul(x, all(read))),
  };
}

/** Whether fewer multiplications bring `x` into the directions of all blocks than rows out of them. */
function paysToProject(x: Tensor2D, { blocks }: BlockCodesLayout): boolean {
  const coded = blocks.filter(({ basis }) => basis !== 'none');
  const directions = coded.reduce((sum, block) => sum + block.directions.length, 0);
  const coefficients = coded.reduce((sum, block) => sum + block.rows * block.directions.length, 0);
  return x.shape[0] * directions <= coefficients;
}

/** Access to a matrix whose columns are the rows that `slice` decodes. */
export function sliceColumns(
  slice: MatrixStorage['slice'],
  columns: number,
): Pick<MatrixStorage, 'gather' | 'slice'> {
  const all = (read: ReadWeight) => slice(read, 0, columns);
  return {
    gather: (read, rows) => tf.tidy(() => tf.transpose(tf.gather(all(read), rows, 1))),
    slice: (read, begin, size) =>
      tf.tidy(() => tf.transpose(tf.slice2d(all(read), [0, begin], [columns, size]))),
  };
}
