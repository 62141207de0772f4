import { gradientRepairs } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { example, problemOf } from './cases.js';
import type { Case } from './cases.js';
import { cases } from './cases/index.js';
import { firstOrderError, secondOrderError } from './errors.js';

/** For every repair the cases that show its defect, by the repaired op and the order. */
const demonstrations: Record<string, readonly string[]> = {
  'AvgPool, AvgPool3D / 1': ['avgPool, same', 'avgPool, padded', 'avgPool3d, same'],
  'Conv3D / 1': ['conv3d, same, stride 2'],
  'Conv2D, DepthwiseConv2dNative, Conv3D / 1': [
    'conv2d, dilated',
    'conv1d, dilated',
    'depthwiseConv2d, dilated',
    'conv3d, dilated',
  ],
  'fused.conv2d, fused.depthwiseConv2d / 1': [
    'fused.conv2d, dilated',
    'fused.conv2d, one image',
    'fused.depthwiseConv2d, dilated',
    'layer: conv2d, dilated',
  ],
  'MirrorPad / 1': ['mirrorPad, reflect', 'mirrorPad, symmetric'],
  'Cumsum / 1': ['cumsum, axes of one length'],
  'Cumprod / 1': ['cumprod'],
  'Prod / 1': ['prod', 'prod, last axis', 'prod, all'],
  'Maximum, Minimum, SquaredDifference / 1': [
    'minimum, broadcast both ways',
    'squaredDifference, broadcast',
  ],
  'BatchMatMul / 1': ['matMul, broadcast a', 'matMul, broadcast b, transposed'],
  'ResizeBilinear / 1': ['resizeBilinear, wider', 'resizeBilinear, smaller, aligned'],
  'ResizeBilinear, half pixel / 1': ['resizeBilinear, half pixel'],
  'ResizeNearestNeighbor / 1': ['resizeNearestNeighbor, half pixel'],
  'StridedSlice / 1': ['stridedSlice', 'stridedSlice, masks'],
  'GatherNd / 1': ['gatherND'],
  'ScatterNd / 1': ['scatterND'],
  'TopK / 1': ['topk'],
  'GatherV2 / 1': ['gather, batched'],
  'DepthToSpace / 1': ['depthToSpace'],
  'Einsum / 1': ['einsum ij,jk->ik'],
  'Tile / 1': ['tile, rank 5'],
  'SplitV, Unpack / 1': ['split into one', 'unstack of one', 'layer: lstm, one step'],
  'FusedBatchNorm / 1': ['batchNorm without scale'],
  'Equal, NotEqual, Greater, Less, LessEqual, LogicalAnd, LogicalOr, LogicalNot, Any, All / 1': [
    'where on a comparison',
    'a comparison as mask',
    'divNoNan',
  ],
  'FloorDiv / 1': ['floorDiv'],
  'Cast / 1': ['cast to int and back', 'cast to bool and back'],
  'Sigmoid, Tanh, Exp, Softmax, logSoftmax and all that is made of them / 2': [
    'sigmoid',
    'tanh',
    'exp',
    'softmax',
    'logSoftmax',
    'attention',
    'tanh network',
    'losses.sigmoidCrossEntropy',
  ],
  'Max, Min, Maximum, ClipByValue, Relu6, LeakyRelu, Prelu, Selu, Pow, logSumExp / 2': [
    'max',
    'min',
    'maximum',
    'clipByValue',
    'relu6',
    'leakyRelu',
    'prelu',
    'selu',
    'pow',
    'logSumExp',
  ],
  'Conv2DBackpropFilter / 2': ['conv2d, valid', 'conv2dTranspose'],
  'DepthwiseConv2dNativeBackpropFilter, DepthwiseConv2dNativeBackpropInput / 2': [
    'depthwiseConv2d',
    'separableConv2d',
  ],
  'Conv3DBackpropFilterV2, Conv3DBackpropInputV2 / 2': ['conv3d, valid'],
  'AvgPoolGrad, AvgPool3DGrad / 2': ['avgPool, valid', 'avgPool3d, same'],
  'MaxPoolGrad, MaxPool3DGrad / 2': ['maxPool', 'maxPool3d, same'],
  'EluGrad / 2': ['elu'],
  'ResizeBilinearGrad, ResizeNearestNeighborGrad / 2': [
    'upSampling of a square',
    'resizeNearestNeighbor',
  ],
  'LRNGrad / 2': ['localResponseNormalization'],
};

const onlyHere = [
  example('cumsum, axes of one length', (x: tf.Tensor) => tf.cumsum(x, 0), [[3, 3]]),
  example(
    'upSampling of a square',
    (x: tf.Tensor) => tf.image.resizeBilinear(x as tf.Tensor4D, [4, 4]),
    [[1, 3, 3, 1]],
  ),
];

function caseNamed(name: string): Case {
  const found = [...cases, ...onlyHere].find((one) => one.name === name);
  if (!found) throw new Error(`No case is called '${name}'.`);
  return found;
}

// Nothing is installed here: this file tests TensorFlow.js as it comes.
describe.each(['cpu', 'wasm'])('TensorFlow.js without the repairs, on %s', (backend) => {
  beforeAll(async () => {
    await tf.setBackend(backend);
  });

  // The kernels that wasm lacks would hide what is missing beyond them.
  const here = gradientRepairs.filter(
    ({ order, backends }) => backends?.includes(backend) ?? (backend === 'cpu' || order === 1),
  );
  const shown = here.flatMap((repair) =>
    (demonstrations[`${repair.op} / ${repair.order}`] ?? []).map((name) => ({ ...repair, name })),
  );

  test.each(shown.filter(({ was }) => was === 'silently wrong'))(
    'order $order of $name is wrong and says nothing',
    ({ order, name }) => {
      const error = order === 1 ? firstOrderError : secondOrderError;
      expect(error(problemOf(caseNamed(name)))).toBeGreaterThan(4e-3);
    },
  );

  test.each(shown.filter(({ was }) => was === 'throws' || was === 'missing'))(
    'order $order of $name throws',
    ({ order, name }) => {
      const error = order === 1 ? firstOrderError : secondOrderError;
      expect(() => error(problemOf(caseNamed(name)))).toThrow();
    },
  );
});

test('every entry of the table that is not merely slow is demonstrated', () => {
  const failing = gradientRepairs.filter(({ was }) => was !== 'slow');
  const entries = failing.map(({ op, order }) => `${op} / ${order}`);
  expect(Object.keys(demonstrations)).toEqual(entries);
});
