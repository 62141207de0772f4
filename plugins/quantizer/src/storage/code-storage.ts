import type {
  MatrixShape,
  MatrixStorage,
  StorageConfig,
  StoredWeight,
} from '@espalier/compression';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import { decode } from './decode-kernel.js';
import type { CodeTensors } from './decode-kernel.js';
import { computeCodeLayout } from './storage-config.js';

/**
 * A matrix in codes among a layer's weights: `<name>_codes` int32 words, `<name>_scale`,
 * `<name>_offset` or `<name>_codebook`, all of rank 1 and frozen.
 */
export function codeStorage(name: string, shape: MatrixShape, given: StorageConfig): MatrixStorage {
  const { config, parts, format, levels } = computeCodeLayout(given, shape);
  const nameWeight = (part: string) => `${name}_${part}`;
  const weights = Object.entries(parts).map(([part, length]): StoredWeight => ({
    name: nameWeight(part),
    shape: [length],
    dtype: part === 'codes' ? 'int32' : 'float32',
    trainable: false,
  }));
  const gather: MatrixStorage['gather'] = (read, rows) =>
    tf.tidy(() => {
      const tensors: CodeTensors = {
        codes: read(nameWeight('codes')),
        levels: levels ? tf.tensor1d(levels) : read(nameWeight('codebook')),
        ...(parts.scale && { scale: read(nameWeight('scale')) }),
        ...(parts.offset && { offset: read(nameWeight('offset')) }),
      };
      return decode(tensors, rows, format);
    });
  return {
    config,
    weights,
    gather,
    slice: (read, begin, size) =>
      tf.tidy(() => gather(read, tf.range(begin, begin + size, 1, 'int32') as Tensor1D)),
  };
}
