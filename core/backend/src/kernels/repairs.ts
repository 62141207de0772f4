import * as tf from '@tensorflow/tfjs-core';
import { batchMatMul, broadcastBatchMatMul } from './batch-mat-mul.js';
import { batchNormTraining, batchNormTrainingGrad } from './batch-norm-training.js';
import { batchNorm } from './batch-norm.js';
import { cast } from './cast.js';
import { columnReduction } from './column-sum.js';
import { conv2dBackpropFilterWasm } from './conv2d-backprop-filter-wasm.js';
import { conv2dBackpropFilter } from './conv2d-backprop-filter.js';
import { conv2dBackpropInput } from './conv2d-backprop-input.js';
import { conv3dBackpropFilter, conv3dBackpropInput } from './conv3d-backprop.js';
import { depthwiseBackpropFilter } from './depthwise-backprop-filter.js';
import { depthwiseBackpropInput } from './depthwise-backprop-input.js';
import { emptyOutput, emptyReduction } from './empty.js';
import { fusedMatMul } from './fused-mat-mul.js';
import { gather } from './gather.js';
import { padHighRank, reverseHighRank } from './high-rank.js';
import { maxPool3d, maxPool3dGradient } from './max-pool-3d.js';
import { oneChannel } from './one-channel.js';
import { oneHot } from './one-hot.js';
import { BATCH_NORM_TRAINING, BATCH_NORM_TRAINING_GRAD, RELU_GRAD } from './own-kernels.js';
import { numericPadding, samePadding } from './padding.js';
import { avgPoolGradient, maxPoolGradient } from './pool-gradients.js';
import { prelu } from './prelu.js';
import { reluGrad } from './relu-grad.js';
import type { Repair } from './repair.js';
import { slice, splitV } from './slice.js';
import { tile } from './tile.js';
import { transpose } from './transpose.js';
import { unsortedSegmentSum } from './unsorted-segment-sum.js';

const tfjs = (path: string) => `https://github.com/tensorflow/tfjs/${path}`;

const numeric = (name: string, backends: readonly string[]): Repair => ({
  name,
  backends,
  kind: 'wrong',
  why: 'Where the padding is a number and the axes differ, the output has the wrong size, and a wasm convolution writes out of bounds. Spells the padding out.',
  issue: tfjs('issues/649'),
  make: numericPadding,
});

const same = (name: string, depthwise: boolean): Repair => ({
  name,
  backends: ['wasm'],
  kind: 'wrong',
  why: "With 'same' padding, wrong numbers where one axis needs no padding. Spells the padding out.",
  issue: tfjs('issues/6629'),
  make: samePadding(depthwise),
});

const empty = (name: string, depthwise = false): Repair => ({
  name,
  backends: ['wasm', 'cpu'],
  kind: 'wrong',
  why: 'A window larger than the image gives a tensor of negative size, or on wasm writes out of bounds. Gives an empty tensor or an error.',
  make: emptyOutput(depthwise),
});

/**
 * Every kernel that {@link installKernels} adds or replaces. Several repairs of one kernel wrap one
 * another in this order.
 */
export const repairs: readonly Repair[] = [
  {
    name: tf.Conv2DBackpropFilter,
    backends: ['wasm'],
    kind: 'missing',
    why: 'No convolution trains. Unfolds the input and takes one matrix product.',
    issue: tfjs('issues/8474'),
    make: () => conv2dBackpropFilterWasm,
  },
  {
    name: tf.DepthwiseConv2dNativeBackpropFilter,
    backends: ['wasm'],
    kind: 'missing',
    why: 'No depthwise or separable convolution trains. A loop with the channels innermost.',
    make: () => depthwiseBackpropFilter,
  },
  {
    name: tf.DepthwiseConv2dNativeBackpropInput,
    backends: ['wasm'],
    kind: 'missing',
    why: 'As above. A depthwise convolution of the spread gradient with the reversed filter.',
    make: () => depthwiseBackpropInput,
  },
  {
    name: tf.UnsortedSegmentSum,
    backends: ['wasm'],
    kind: 'missing',
    why: 'The gradient of gather, so no embedding trains. Scatters into zeros.',
    issue: tfjs('issues/8082'),
    make: () => unsortedSegmentSum,
  },
  {
    name: tf.Conv2DBackpropInput,
    backends: ['wasm'],
    kind: 'slow',
    why: 'A plain loop. Becomes a convolution of stride 1 on XNNPACK.',
    make: () => conv2dBackpropInput,
  },
  {
    name: tf.Conv2DBackpropInput,
    backends: ['tensorflow'],
    kind: 'wrong',
    why: 'TensorFlow 2.21 with oneDNN: wrong for a convolution from one channel to one. Adds a channel of zeros.',
    make: oneChannel,
  },
  {
    name: BATCH_NORM_TRAINING,
    backends: ['tensorflow'],
    kind: 'missing',
    why: 'Batch normalization in training is put together from a dozen ops. One op of TensorFlow.',
    make: () => batchNormTraining,
  },
  {
    name: BATCH_NORM_TRAINING_GRAD,
    backends: ['tensorflow'],
    kind: 'missing',
    why: 'As above, its gradient from two dozen. One op of TensorFlow.',
    make: () => batchNormTrainingGrad,
  },
  {
    name: RELU_GRAD,
    backends: ['tensorflow'],
    kind: 'missing',
    why: 'The gradient of relu is put together from seven ops. One op of TensorFlow.',
    make: () => reluGrad,
  },
  {
    name: tf.Slice,
    backends: ['wasm'],
    kind: 'slow',
    why: 'Copies all of its input first, however small the slice. Copies the slice.',
    make: slice,
  },
  {
    name: tf.SplitV,
    backends: ['wasm'],
    kind: 'slow',
    why: 'As above, once for each part.',
    make: splitV,
  },
  {
    name: tf.BatchMatMul,
    backends: ['wasm'],
    kind: 'slow',
    why: 'XNNPACK serves only a single product without transposed operands. Transposes first, and takes a batch one by one.',
    issue: tfjs('pull/2532'),
    make: batchMatMul,
  },
  {
    name: tf.BatchMatMul,
    backends: ['wasm', 'cpu'],
    kind: 'wrong',
    why: 'Pairs the wrong matrices where both batches are broadcast. Repeats them first.',
    make: broadcastBatchMatMul,
  },
  {
    name: tf._FusedMatMul,
    backends: ['wasm'],
    kind: 'wrong',
    why: 'Adds the last element of the bias to all rows but the first where an operand is transposed or there is a batch. Adds the bias after the product.',
    make: fusedMatMul,
  },
  {
    name: tf.Transpose,
    backends: ['wasm'],
    kind: 'slow',
    why: 'Thrashes the cache where the number of rows is a multiple of 256. Goes by strips.',
    make: transpose,
  },
  {
    name: tf.MaxPoolGrad,
    backends: ['wasm', 'cpu'],
    kind: 'slow',
    why: 'Searches every window once for each of its pixels. Goes through the windows once.',
    make: () => maxPoolGradient,
  },
  {
    name: tf.AvgPoolGrad,
    backends: ['wasm', 'cpu'],
    kind: 'wrong',
    why: 'Divides by the size of the filter where the mean was over the pixels inside the image. Divides by their number.',
    make: () => avgPoolGradient,
  },
  {
    name: tf.Conv3DBackpropInputV2,
    backends: ['wasm'],
    kind: 'wrong',
    why: 'Wrong numbers, in conv3dTranspose as well. A convolution of the spread gradient with the reversed filter.',
    make: () => conv3dBackpropInput,
  },
  {
    name: tf.Conv3DBackpropFilterV2,
    backends: ['wasm'],
    kind: 'wrong',
    why: 'Wrong numbers. A convolution with volumes and channels exchanged.',
    make: () => conv3dBackpropFilter,
  },
  {
    name: tf.MaxPool3D,
    backends: ['wasm'],
    kind: 'wrong',
    why: 'No maximum comes out below 1.2e-38, so negative ones are lost. Pools planes, then depths.',
    make: () => maxPool3d,
  },
  {
    name: tf.MaxPool3DGrad,
    backends: ['wasm', 'cpu'],
    kind: 'wrong',
    why: 'As above on wasm; on the cpu the wrong element where the height and the width of the filter differ. Goes back through the two passes.',
    make: () => maxPool3dGradient,
  },
  {
    name: tf.FusedBatchNorm,
    backends: ['wasm', 'cpu'],
    kind: 'wrong',
    why: 'Ignores the shape of the statistics: wrong along any axis but the last. Broadcasts them.',
    make: batchNorm,
  },
  {
    name: tf.Prelu,
    backends: ['wasm'],
    kind: 'wrong',
    why: 'Ignores the shape of the slopes where they are shared along an inner axis. Broadcasts them.',
    make: prelu,
  },
  {
    name: tf.OneHot,
    backends: ['wasm'],
    kind: 'wrong',
    why: 'Writes integers whatever the dtype: a float32 result reads 1.4e-45 instead of 1. A loop for every dtype.',
    make: () => oneHot,
  },
  {
    name: tf.Cast,
    backends: ['wasm'],
    kind: 'wrong',
    why: 'To bool it keeps the low byte: 0.5 and 256 are false, -1 is 255. Compares with zero.',
    make: cast,
  },
  {
    name: tf.GatherV2,
    backends: ['wasm'],
    kind: 'wrong',
    why: 'With batchDims it reads beyond its input; without, it computes the place of every element. Copies slices.',
    issue: tfjs('issues/8658'),
    make: gather,
  },
  {
    name: tf.GatherV2,
    backends: ['cpu'],
    kind: 'slow',
    why: 'Computes the place of every element. Copies slices.',
    make: gather,
  },
  {
    name: tf.Tile,
    backends: ['wasm'],
    kind: 'slow',
    why: 'Computes the index of every element. Repeats whole blocks.',
    make: tile,
  },
  {
    name: tf.DepthwiseConv2dNativeBackpropFilter,
    backends: ['cpu'],
    kind: 'slow',
    why: 'Computes an offset for each product, and ignores dilations. The same loop as on wasm.',
    make: () => depthwiseBackpropFilter,
  },
  {
    name: tf.Conv2DBackpropFilter,
    backends: ['cpu'],
    kind: 'slow',
    why: 'Computes an offset for each product. Becomes a convolution with images and channels exchanged.',
    make: () => conv2dBackpropFilter,
  },
  {
    name: tf.UnsortedSegmentSum,
    backends: ['cpu'],
    kind: 'slow',
    why: 'Goes through all rows once for each segment. Scatters into zeros.',
    make: () => unsortedSegmentSum,
  },
  ...[
    tf.Conv2D,
    tf.FusedConv2D,
    tf.DepthwiseConv2dNative,
    tf.FusedDepthwiseConv2D,
    tf.MaxPool,
    tf.AvgPool,
  ].map((name) => numeric(name, ['wasm', 'cpu'])),
  ...[tf.Conv2DBackpropInput, tf.DepthwiseConv2dNativeBackpropInput].map((name) =>
    numeric(name, ['cpu']),
  ),
  same(tf.Conv2D, false),
  same(tf.FusedConv2D, false),
  same(tf.DepthwiseConv2dNative, true),
  same(tf.FusedDepthwiseConv2D, true),
  ...[tf.Conv2D, tf.FusedConv2D, tf.MaxPool, tf.AvgPool].map((name) => empty(name)),
  ...[tf.DepthwiseConv2dNative, tf.FusedDepthwiseConv2D].map((name) => empty(name, true)),
  {
    name: tf.Sum,
    backends: ['wasm'],
    kind: 'slow',
    why: 'Transposes the tensor to sum over its leading axes. Goes down the columns.',
    make: columnReduction('sum'),
  },
  {
    name: tf.Mean,
    backends: ['wasm'],
    kind: 'slow',
    why: 'As above, in every batch normalization.',
    make: columnReduction('mean'),
  },
  {
    name: tf.Sum,
    backends: ['wasm'],
    kind: 'wrong',
    why: 'Leaves the sum over no elements unwritten. Gives 0.',
    make: emptyReduction(0),
  },
  {
    name: tf.Mean,
    backends: ['wasm', 'cpu'],
    kind: 'wrong',
    why: 'Over no elements, wasm traps and the cpu gives 0. Gives NaN, as TensorFlow.',
    make: emptyReduction(NaN),
  },
  {
    name: tf.PadV2,
    backends: ['webgl'],
    kind: 'wrong',
    why: 'With more than four axes its shader does not compile, so no convolution in three dimensions trains. Pads axis by axis.',
    make: padHighRank,
  },
  {
    name: tf.Reverse,
    backends: ['webgl'],
    kind: 'wrong',
    why: 'As above, refused. Reverses axis by axis.',
    make: reverseHighRank,
  },
];
