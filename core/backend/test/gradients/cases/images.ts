import * as tf from '@tensorflow/tfjs-core';
import { example } from '../cases.js';

const asImages = (t: tf.Tensor) => t as tf.Tensor4D;
const asVolumes = (t: tf.Tensor) => t as tf.Tensor5D;
const image = [1, 5, 4, 2];
const volume = [1, 3, 4, 3, 2];

type Pad = 'valid' | 'same' | number;

const conv2d =
  (strides: number, pad: Pad, dilations = 1) =>
  (x: tf.Tensor, f: tf.Tensor) =>
    tf.conv2d(asImages(x), asImages(f), strides, pad, 'NHWC', dilations);
const depthwise =
  (strides: number, pad: Pad, dilations = 1) =>
  (x: tf.Tensor, f: tf.Tensor) =>
    tf.depthwiseConv2d(asImages(x), asImages(f), strides, pad, 'NHWC', dilations);
const conv3d =
  (strides: number, pad: 'valid' | 'same', dilations = 1) =>
  (x: tf.Tensor, f: tf.Tensor) =>
    tf.conv3d(asVolumes(x), asVolumes(f), strides, pad, 'NDHWC', [dilations, dilations, dilations]);
const bilinear =
  (size: [number, number], align = false, half = false) =>
  (x: tf.Tensor) =>
    tf.image.resizeBilinear(asImages(x), size, align, half);
const nearest =
  (size: [number, number], align = false, half = false) =>
  (x: tf.Tensor) =>
    tf.image.resizeNearestNeighbor(asImages(x), size, align, half);

/** They pool and convolve with 'valid' and 'same' padding only. */
const NATIVE = ['tfjs-node-gpu', 'tfjs-node'];

export const images = [
  example('conv2d, valid', conv2d(1, 'valid'), [image, [2, 3, 2, 2]]),
  example('conv2d, same, stride 2', conv2d(2, 'same'), [image, [3, 3, 2, 2]]),
  example('conv2d, one channel', conv2d(1, 'valid'), [
    [1, 3, 3, 1],
    [2, 2, 1, 1],
  ]),
  example('conv2d, padded', conv2d(1, 1), [image, [3, 3, 2, 1]], { refusedBy: NATIVE }),
  example('conv2d, dilated', conv2d(1, 'same', 2), [image, [2, 3, 2, 2]]),
  example(
    'conv1d, dilated',
    (x: tf.Tensor, f: tf.Tensor) =>
      tf.conv1d(x as tf.Tensor3D, f as tf.Tensor3D, 1, 'same', 'NWC', 2),
    [
      [1, 6, 2],
      [3, 2, 2],
    ],
  ),
  example(
    'conv2dTranspose',
    (x: tf.Tensor, f: tf.Tensor) =>
      tf.conv2dTranspose(asImages(x), asImages(f), [1, 5, 4, 2], 2, 'same'),
    [
      [1, 3, 2, 2],
      [3, 3, 2, 2],
    ],
  ),
  example('depthwiseConv2d', depthwise(1, 'same'), [image, [3, 2, 2, 2]]),
  example('depthwiseConv2d, stride 2', depthwise(2, 'valid'), [image, [2, 2, 2, 1]]),
  example('depthwiseConv2d, dilated', depthwise(1, 'same', 2), [image, [2, 2, 2, 2]]),
  example(
    'separableConv2d',
    (x: tf.Tensor, d: tf.Tensor, p: tf.Tensor) =>
      tf.separableConv2d(asImages(x), asImages(d), asImages(p), 1, 'same'),
    [image, [2, 2, 2, 1], [1, 1, 2, 3]],
  ),
  example(
    'fused.conv2d',
    (x: tf.Tensor, filter: tf.Tensor, bias: tf.Tensor) =>
      tf.fused.conv2d({ x: asImages(x), filter: asImages(filter), strides: 1, pad: 'same', bias }),
    [image, [2, 2, 2, 2], [2]],
  ),
  example(
    'fused.conv2d, relu',
    (x: tf.Tensor, filter: tf.Tensor, bias: tf.Tensor) =>
      tf.fused.conv2d({
        x: asImages(x),
        filter: asImages(filter),
        strides: 1,
        pad: 'same',
        bias,
        activation: 'relu',
      }),
    [image, [2, 2, 2, 2], [2]],
  ),
  example(
    'fused.conv2d, dilated',
    (x: tf.Tensor, filter: tf.Tensor, bias: tf.Tensor) =>
      tf.fused.conv2d({
        x: asImages(x),
        filter: asImages(filter),
        strides: 1,
        pad: 'same',
        dilations: 2,
        bias,
      }),
    [image, [2, 2, 2, 2], [2]],
  ),
  example(
    'fused.conv2d, one image',
    (x: tf.Tensor, filter: tf.Tensor) =>
      tf.fused.conv2d({ x: x as tf.Tensor3D, filter: asImages(filter), strides: 1, pad: 'valid' }),
    [
      [5, 4, 2],
      [2, 2, 2, 2],
    ],
  ),
  example(
    'fused.depthwiseConv2d, dilated',
    (x: tf.Tensor, filter: tf.Tensor, bias: tf.Tensor) =>
      tf.fused.depthwiseConv2d({
        x: asImages(x),
        filter: asImages(filter),
        strides: 1,
        pad: 'same',
        dilations: 2,
        bias,
      }),
    [image, [2, 2, 2, 1], [2]],
  ),
  example('conv3d, same, stride 2', conv3d(2, 'same'), [volume, [2, 3, 2, 2, 2]]),
  example('conv3d, valid', conv3d(1, 'valid'), [volume, [2, 2, 3, 2, 1]]),
  example('conv3d, dilated', conv3d(1, 'same', 2), [volume, [2, 2, 2, 2, 1]]),
  example(
    'conv3dTranspose',
    (x: tf.Tensor, f: tf.Tensor) =>
      tf.conv3dTranspose(asVolumes(x), asVolumes(f), [1, 3, 4, 3, 2], 2, 'same'),
    [
      [1, 2, 2, 2, 1],
      [2, 3, 2, 2, 1],
    ],
  ),
  example('maxPool', (x: tf.Tensor) => tf.maxPool(asImages(x), 2, 2, 'valid'), [[1, 4, 4, 2]]),
  example('maxPool, same, overlapping', (x: tf.Tensor) => tf.maxPool(asImages(x), 3, 2, 'same'), [
    image,
  ]),
  example('avgPool, valid', (x: tf.Tensor) => tf.avgPool(asImages(x), [2, 3], 1, 'valid'), [image]),
  example('avgPool, same', (x: tf.Tensor) => tf.avgPool(asImages(x), 3, 2, 'same'), [image]),
  example('avgPool, padded', (x: tf.Tensor) => tf.avgPool(asImages(x), 3, 1, 1), [image], {
    refusedBy: NATIVE,
  }),
  example('avgPool3d, same', (x: tf.Tensor) => tf.avgPool3d(asVolumes(x), 2, 2, 'same'), [volume]),
  example('maxPool3d, same', (x: tf.Tensor) => tf.maxPool3d(asVolumes(x), 2, 2, 'same'), [volume]),
  example(
    'global pooling',
    (x: tf.Tensor) => tf.concat([tf.mean(x, [1, 2]), tf.max(x, [1, 2])], 1),
    [image],
  ),
  example('resizeBilinear, wider', bilinear([7, 5]), [[1, 3, 4, 2]]),
  example('resizeBilinear, smaller, aligned', bilinear([2, 3], true), [[1, 3, 5, 1]]),
  example('resizeBilinear, half pixel', bilinear([5, 3], false, true), [[1, 3, 4, 1]]),
  example('resizeNearestNeighbor', nearest([7, 3]), [[1, 3, 4, 2]]),
  example('resizeNearestNeighbor, aligned', nearest([5, 3], true), [[1, 3, 5, 1]]),
  example('resizeNearestNeighbor, half pixel', nearest([5, 7], false, true), [[1, 3, 4, 1]]),
  example(
    'localResponseNormalization',
    (x: tf.Tensor) => tf.localResponseNormalization(asImages(x), 1, 1, 0.5, 0.6),
    [[1, 2, 2, 5]],
  ),
];
