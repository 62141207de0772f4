import * as tf from '@tensorflow/tfjs-core';
import type { Pairs } from './dense.js';
import { largestDiagonal } from './host-products.js';

/** The part of the backend of tfjs-node that runs any operation of TensorFlow. */
interface TensorFlow {
  executeMultipleOutputs(
    name: string,
    attributes: readonly {
      readonly name: string;
      readonly type: number;
      readonly value: unknown;
    }[],
    inputs: readonly tf.Tensor[],
    outputs: number,
  ): tf.Tensor[];
}

/** TF_ATTR_BOOL, TF_ATTR_TYPE and TF_FLOAT of TensorFlow's C interface. */
const [BOOL, TYPE, FLOAT] = [3, 4, 1];

/** Whether the current backend is TensorFlow itself. */
export const isNative = (): boolean => tf.getBackend() === 'tensorflow';

/** The leading eigenpairs by TensorFlow's SelfAdjointEigV2, float32. */
export async function nativeEigenpairs(
  symmetric: Float64Array,
  size: number,
  count: number,
): Promise<Pairs> {
  const backend = tf.backend() as unknown as TensorFlow;
  const scale = largestDiagonal(symmetric, size) || 1;
  const scaled = Float32Array.from(symmetric, (value) => value / scale);
  const [values, vectors] = tf.tidy(() =>
    backend.executeMultipleOutputs(
      'SelfAdjointEigV2',
      [
        { name: 'compute_v', type: BOOL!, value: true },
        { name: 'T', type: TYPE!, value: FLOAT },
      ],
      [tf.tensor2d(scaled, [size, size])],
      2,
    ),
  ) as [tf.Tensor, tf.Tensor];
  const [ascending, columns] = await Promise.all([
    values.data<'float32'>(),
    vectors.data<'float32'>(),
  ]);
  tf.dispose([values, vectors]);
  const leading = Array.from({ length: count }, (_, k) => size - 1 - k);
  return {
    values: Float64Array.from(leading, (k) => scale * ascending[k]!),
    vectors: leading.map((k) =>
      Float64Array.from({ length: size }, (_, i) => columns[i * size + k]!),
    ),
  };
}
