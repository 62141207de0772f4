import type { MatrixShape, MatrixStorage, StorageConfig } from '@espalier/compression';
import { parseOptions } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { fakeQuantize, SMALLEST_STEP } from '../maths/fake-quantize.js';
import { computeGrouping } from '../maths/granularity.js';
import { levelRange } from '../maths/levels.js';
import { fakeConfig } from './storage-config.js';

/**
 * A matrix that trains as float32 and is used as its codes would be: the weights `<name>`
 * `[rows, columns]` and `<name>_step` `[groups]`, which trains too if it is learned.
 */
export function fakeStorage(name: string, shape: MatrixShape, given: StorageConfig): MatrixStorage {
  const config = parseOptions('storage', fakeConfig, given);
  const [rows, columns] = shape;
  const { length, perRow, count } = computeGrouping(config.granularity, shape);
  const blocks = Math.ceil(columns / length);
  const [, high] = levelRange(config.bits, 'symmetric');
  const slowness = 1 / Math.sqrt(((rows * columns) / count) * high);
  const stepName = `${name}_step`;

  /** `x` `[n, columns]`, rounded by the steps of its rows, which `pick` chooses. */
  const roundRows = (x: Tensor, steps: Tensor, pick: (perRow: Tensor2D) => Tensor) => {
    const own = perRow > 0 ? pick(tf.reshape(steps, [rows, perRow])) : tf.reshape(steps, [1, -1]);
    const step = tf.expandDims(tf.maximum(tf.abs(own), SMALLEST_STEP), 2);
    const padded = tf.pad2d(x as Tensor2D, [
      [0, 0],
      [0, blocks * length - columns],
    ]);
    const grouped = tf.reshape(padded, [-1, blocks, length]);
    const values = fakeQuantize(grouped, step, config.bits, slowness);
    return tf.slice2d(tf.reshape(values, [-1, blocks * length]), [0, 0], [-1, columns]);
  };

  return {
    config,
    weights: [
      { name, shape, dtype: 'float32', trainable: true },
      { name: stepName, shape: [count], dtype: 'float32', trainable: config.step === 'learned' },
    ],
    gather: (read, ids) =>
      tf.tidy(() =>
        roundRows(tf.gather(read(name), ids), read(stepName), (steps) => tf.gather(steps, ids)),
      ),
    slice: (read, begin, size) =>
      tf.tidy(() =>
        roundRows(tf.slice(read(name), [begin, 0], [size, columns]), read(stepName), (steps) =>
          tf.slice2d(steps, [begin, 0], [size, perRow]),
        ),
      ),
  };
}
