import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { example, input } from '../cases.js';
import { spread, stream } from '../differences.js';

/** A layer as a function of its input, with seeded weights. */
function throughLayer(layer: tfl.layers.Layer, inputShape: number[]) {
  tf.dispose(layer.apply(tf.zeros(inputShape)) as tf.Tensor);
  const next = stream(3);
  const weights = layer.getWeights();
  layer.setWeights(weights.map((w) => tf.tensor(spread(w.size, -0.7, 0.8, next), w.shape)));
  return (x: tf.Tensor) => layer.apply(x, { training: true }) as tf.Tensor;
}

/** Variables live on the backend that made them, so each backend gets a layer of its own. */
function layerCase(
  name: string,
  make: () => tfl.layers.Layer,
  shape: number[],
  before = (x: tf.Tensor) => x,
) {
  const built = new Map<string, (x: tf.Tensor) => tf.Tensor>();
  const fn = (x: tf.Tensor) => {
    const backend = tf.getBackend();
    if (!built.has(backend)) built.set(backend, throughLayer(make(), shape));
    return built.get(backend)!(before(x));
  };
  return example(`layer: ${name}`, fn, [shape]);
}

const lstm = () => tfl.layers.lstm({ units: 2, recurrentInitializer: 'zeros' });

/** A sequence whose last step is masked out. */
const maskLast = (x: tf.Tensor) => tf.mul(x, tf.tensor3d([[[1], [1], [0]]]));

const scaleAndShift = [input([4], 0.5, 1.5), [4]];

export const layers = [
  example(
    'batchNorm',
    (x: tf.Tensor, m: tf.Tensor, v: tf.Tensor, s: tf.Tensor, o: tf.Tensor) =>
      tf.batchNorm(x, m as tf.Tensor1D, v as tf.Tensor1D, o as tf.Tensor1D, s as tf.Tensor1D, 1e-2),
    [[2, 2, 1, 4], [4], input([4], 0.5, 2), ...scaleAndShift],
  ),
  example(
    'batchNorm without scale',
    (x: tf.Tensor, m: tf.Tensor, v: tf.Tensor) =>
      tf.batchNorm(x, m as tf.Tensor1D, v as tf.Tensor1D),
    [[3, 4], [4], input([4], 0.5, 2)],
  ),
  example(
    'batchNorm on batch statistics',
    (x: tf.Tensor, s: tf.Tensor, o: tf.Tensor) => {
      const { mean, variance } = tf.moments(x, [0]);
      return tf.batchNorm(
        x,
        mean as tf.Tensor1D,
        variance as tf.Tensor1D,
        o as tf.Tensor1D,
        s as tf.Tensor1D,
        1e-2,
      );
    },
    [[5, 4], ...scaleAndShift],
  ),
  example(
    'layer norm by moments',
    (x: tf.Tensor, s: tf.Tensor, o: tf.Tensor) => {
      const { mean, variance } = tf.moments(x, -1, true);
      return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-2))), s), o);
    },
    [[3, 4], ...scaleAndShift],
  ),
  layerCase('dense, tanh', () => tfl.layers.dense({ units: 3, activation: 'tanh' }), [2, 4]),
  layerCase('dense, linear', () => tfl.layers.dense({ units: 3 }), [2, 4]),
  layerCase('lstm', lstm, [2, 3, 2]),
  layerCase('lstm, one step', lstm, [2, 1, 2]),
  layerCase(
    'lstm behind masking',
    () => tfl.sequential({ layers: [tfl.layers.masking({ inputShape: [3, 2] }), lstm()] }),
    [2, 3, 2],
    maskLast,
  ),
  layerCase(
    'gru',
    () => tfl.layers.gru({ units: 2, recurrentInitializer: 'zeros', returnSequences: true }),
    [2, 3, 2],
  ),
  layerCase(
    'conv2d, dilated',
    () => tfl.layers.conv2d({ filters: 2, kernelSize: 2, dilationRate: 2, padding: 'same' }),
    [1, 4, 4, 2],
  ),
  layerCase(
    'conv2d, elu',
    () => tfl.layers.conv2d({ filters: 2, kernelSize: 2, activation: 'elu' }),
    [1, 4, 4, 2],
  ),
  layerCase(
    'depthwiseConv2d',
    () => tfl.layers.depthwiseConv2d({ kernelSize: 2, padding: 'same' }),
    [1, 4, 4, 2],
  ),
  layerCase(
    'separableConv2d',
    () => tfl.layers.separableConv2d({ filters: 2, kernelSize: 2 }),
    [1, 4, 4, 2],
  ),
  layerCase(
    'averagePooling2d, same',
    () => tfl.layers.averagePooling2d({ poolSize: 3, strides: 2, padding: 'same' }),
    [1, 4, 4, 2],
  ),
  layerCase('layerNormalization', () => tfl.layers.layerNormalization(), [2, 5]),
  layerCase(
    'upSampling2d',
    () => tfl.layers.upSampling2d({ size: [2, 3], interpolation: 'bilinear' }),
    [1, 3, 2, 2],
  ),
  layerCase('upSampling2d, nearest', () => tfl.layers.upSampling2d({ size: [3, 2] }), [1, 2, 3, 2]),
  layerCase(
    'conv2dTranspose',
    () => tfl.layers.conv2dTranspose({ filters: 2, kernelSize: 3, strides: 2, padding: 'same' }),
    [1, 2, 3, 2],
  ),
  layerCase(
    'conv3dTranspose',
    () => tfl.layers.conv3dTranspose({ filters: 2, kernelSize: 2, strides: 2 }),
    [1, 2, 1, 2, 2],
  ),
  layerCase('thresholdedReLU', () => tfl.layers.thresholdedReLU({ theta: 0.4 }), [2, 5]),
  layerCase('leakyReLU', () => tfl.layers.leakyReLU(), [2, 5]),
  layerCase('prelu, shared', () => tfl.layers.prelu({ sharedAxes: [1] }), [2, 3, 2]),
  layerCase('masking', () => tfl.layers.masking({ maskValue: 9 }), [2, 3, 2]),
  layerCase(
    'simpleRNN',
    () => tfl.layers.simpleRNN({ units: 2, recurrentInitializer: 'zeros' }),
    [2, 3, 2],
  ),
  layerCase(
    'convLstm2d',
    () => tfl.layers.convLstm2d({ filters: 1, kernelSize: 2, recurrentInitializer: 'zeros' }),
    [1, 2, 3, 3, 1],
  ),
];
