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
function layerCase(name: string, make: () => tfl.layers.Layer, shape: number[]) {
  const built = new Map<string, (x: tf.Tensor) => tf.Tensor>();
  const fn = (x: tf.Tensor) => {
    const backend = tf.getBackend();
    if (!built.has(backend)) built.set(backend, throughLayer(make(), shape));
    return built.get(backend)!(x);
  };
  return example(`layer: ${name}`, fn, [shape]);
}

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
  layerCase('lstm', () => tfl.layers.lstm({ units: 2, recurrentInitializer: 'zeros' }), [2, 3, 2]),
  layerCase(
    'lstm, one step',
    () => tfl.layers.lstm({ units: 2, recurrentInitializer: 'zeros' }),
    [2, 1, 2],
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
];
