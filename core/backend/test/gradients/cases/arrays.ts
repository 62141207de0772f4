import * as tf from '@tensorflow/tfjs-core';
import { example } from '../cases.js';

const x = [2, 3, 4];
const ids = (values: number[], shape: number[]) => tf.tensor(values, shape, 'int32');

export const arrays = [
  example('reshape', (a: tf.Tensor) => tf.reshape(a, [4, 6]), [x]),
  example('expandDims, squeeze', (a: tf.Tensor) => tf.squeeze(tf.expandDims(a, 1)), [x]),
  example('transpose', (a: tf.Tensor) => tf.transpose(a, [2, 0, 1]), [x]),
  example('reverse', (a: tf.Tensor) => tf.reverse(a, [0, 2]), [x]),
  example('slice', (a: tf.Tensor) => tf.slice(a, [0, 1, 1], [2, 2, -1]), [x]),
  example('concat', (a: tf.Tensor, b: tf.Tensor) => tf.concat([a, b, a], 1), [x, [2, 2, 4]]),
  example('stack', (a: tf.Tensor, b: tf.Tensor) => tf.stack([a, b], 1), [x, x]),
  example('split', (a: tf.Tensor) => tf.split(a, [1, 2], 1)[1]!, [x]),
  example('split into one', (a: tf.Tensor) => tf.split(a, 1, 1)[0]!, [x]),
  example('unstack', (a: tf.Tensor) => tf.mul(tf.unstack(a, 1)[0]!, tf.unstack(a, 1)[2]!), [x]),
  example('unstack of one', (a: tf.Tensor) => tf.unstack(a, 1)[0]!, [[2, 1, 4]]),
  example('tile', (a: tf.Tensor) => tf.tile(a, [2, 1, 3]), [x]),
  example('tile, rank 5', (a: tf.Tensor) => tf.tile(a, [1, 2, 1, 3, 1]), [[2, 1, 2, 1, 2]]),
  example('broadcastTo', (a: tf.Tensor) => tf.broadcastTo(a, [3, 2, 4]), [[2, 1]]),
  example(
    'pad',
    (a: tf.Tensor) =>
      tf.pad(a, [
        [0, 1],
        [2, 0],
        [1, 1],
      ]),
    [x],
  ),
  example(
    'mirrorPad, reflect',
    (a: tf.Tensor) =>
      tf.mirrorPad(
        a,
        [
          [1, 0],
          [2, 1],
          [0, 3],
        ],
        'reflect',
      ),
    [x],
  ),
  example(
    'mirrorPad, symmetric',
    (a: tf.Tensor) =>
      tf.mirrorPad(
        a,
        [
          [2, 1],
          [0, 3],
          [1, 2],
        ],
        'symmetric',
      ),
    [x],
  ),
  example('stridedSlice', (a: tf.Tensor) => tf.stridedSlice(a, [0, 2, 0], [2, 0, 4], [1, -1, 2]), [
    x,
  ]),
  example(
    'stridedSlice, masks',
    (a: tf.Tensor) => tf.stridedSlice(a, [1, 0, 1], [2, 0, 3], [1, 1, 1], 2, 2, 0, 0, 1),
    [x],
  ),
  example('gather', (a: tf.Tensor) => tf.gather(a, ids([0, 2, 2, 1], [2, 2]), 1), [x]),
  example('gather, batched', (a: tf.Tensor) => tf.gather(a, ids([0, 2, 1, 1], [2, 2]), 1, 1), [x]),
  example('gatherND', (a: tf.Tensor) => tf.gatherND(a, ids([0, 1, 1, 2, 0, 1], [3, 2])), [x]),
  example('scatterND', (a: tf.Tensor) => tf.scatterND(ids([1, 3, 1], [3, 1]), a, [5, 2]), [[3, 2]]),
  example(
    'unsortedSegmentSum',
    (a: tf.Tensor) => tf.unsortedSegmentSum(a, tf.tensor1d([1, 0, 1], 'int32'), 2),
    [[3, 2]],
  ),
  example(
    'embedding, normalized',
    (a: tf.Tensor) => tf.softmax(tf.gather(a, ids([0, 2, 2], [3]))),
    [[3, 4]],
  ),
  example('depthToSpace', (a: tf.Tensor) => tf.depthToSpace(a as tf.Tensor4D, 2), [[1, 2, 2, 8]]),
  example(
    'spaceToBatchND',
    (a: tf.Tensor) =>
      tf.spaceToBatchND(
        a,
        [2, 2],
        [
          [0, 0],
          [1, 1],
        ],
      ),
    [[1, 4, 2, 2]],
  ),
  example(
    'batchToSpaceND',
    (a: tf.Tensor) =>
      tf.batchToSpaceND(
        a,
        [2, 2],
        [
          [0, 1],
          [0, 0],
        ],
      ),
    [[4, 2, 2, 1]],
  ),
  example('dropout by a mask', (a: tf.Tensor) => tf.dropout(a, 0.5, undefined, 3), [x]),
  example(
    'oneHot times',
    (a: tf.Tensor) => tf.matMul(tf.oneHot(tf.tensor1d([2, 0], 'int32'), 3), a),
    [[3, 4]],
  ),
];
