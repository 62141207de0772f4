import * as tf from '@tensorflow/tfjs-core';
import { example, input } from '../cases.js';

const x = [3, 4];
const positive = input([3, 4], 0.3, 2);
const inUnit = input([3, 4], -0.8, 0.8);
const aboveOne = input([3, 4], 1.3, 3);

export const elementwise = [
  example('add, broadcast', (a: tf.Tensor, b: tf.Tensor) => tf.add(a, b), [[2, 3], [3]]),
  example('sub, broadcast', (a: tf.Tensor, b: tf.Tensor) => tf.sub(a, b), [[3], [2, 3]]),
  example('mul, broadcast', (a: tf.Tensor, b: tf.Tensor) => tf.mul(a, b), [
    [2, 1],
    [2, 3],
  ]),
  example('div, broadcast', (a: tf.Tensor, b: tf.Tensor) => tf.div(a, b), [
    [2, 3],
    input([3], 0.5, 2),
  ]),
  example('divNoNan', (a: tf.Tensor, b: tf.Tensor) => tf.divNoNan(a, b), [
    [2, 3],
    input([2, 3], 0.5, 2),
  ]),
  example('mod', (a: tf.Tensor) => tf.mod(a, 0.7), [input([5], 0.1, 2)]),
  example('addN', (a: tf.Tensor, b: tf.Tensor) => tf.addN([a, b, a]), [x, x]),
  example('atan2', (a: tf.Tensor, b: tf.Tensor) => tf.atan2(a, b), [positive, positive]),
  example(
    'squaredDifference, broadcast',
    (a: tf.Tensor, b: tf.Tensor) => tf.squaredDifference(a, b),
    [[2, 3], [3]],
  ),
  example('maximum', (a: tf.Tensor, b: tf.Tensor) => tf.maximum(a, b), [x, input([3, 4], -1, 1)]),
  example(
    'maximum, broadcast',
    (a: tf.Tensor) => tf.maximum(a, tf.tensor([0.01, -0.4, 0.37, 0.8])),
    [x],
  ),
  example('minimum, broadcast both ways', (a: tf.Tensor, b: tf.Tensor) => tf.minimum(a, b), [
    [2, 1, 3],
    input([2, 1], -0.3, 0.4),
  ]),
  example('pow', (a: tf.Tensor, b: tf.Tensor) => tf.pow(a, b), [positive, input([4], 0.5, 3)]),
  example('abs', (a: tf.Tensor) => tf.abs(a), [x]),
  example('square', (a: tf.Tensor) => tf.square(a), [x]),
  example('sqrt', (a: tf.Tensor) => tf.sqrt(a), [positive]),
  example('rsqrt', (a: tf.Tensor) => tf.rsqrt(a), [positive]),
  example('reciprocal', (a: tf.Tensor) => tf.reciprocal(a), [positive]),
  example('neg', (a: tf.Tensor) => tf.neg(a), [x]),
  example('exp', (a: tf.Tensor) => tf.exp(a), [x]),
  example('expm1', (a: tf.Tensor) => tf.expm1(a), [x]),
  example('log', (a: tf.Tensor) => tf.log(a), [positive]),
  example('log1p', (a: tf.Tensor) => tf.log1p(a), [positive]),
  example('erf', (a: tf.Tensor) => tf.erf(a), [x]),
  example('sin', (a: tf.Tensor) => tf.sin(a), [x]),
  example('cos', (a: tf.Tensor) => tf.cos(a), [x]),
  example('tan', (a: tf.Tensor) => tf.tan(a), [inUnit]),
  example('asin', (a: tf.Tensor) => tf.asin(a), [inUnit]),
  example('acos', (a: tf.Tensor) => tf.acos(a), [inUnit]),
  example('atan', (a: tf.Tensor) => tf.atan(a), [x]),
  example('sinh', (a: tf.Tensor) => tf.sinh(a), [x]),
  example('cosh', (a: tf.Tensor) => tf.cosh(a), [x]),
  example('asinh', (a: tf.Tensor) => tf.asinh(a), [x]),
  example('acosh', (a: tf.Tensor) => tf.acosh(a), [aboveOne]),
  example('atanh', (a: tf.Tensor) => tf.atanh(a), [inUnit]),
  example('sigmoid', (a: tf.Tensor) => tf.sigmoid(a), [x]),
  example('tanh', (a: tf.Tensor) => tf.tanh(a), [x]),
  example('softplus', (a: tf.Tensor) => tf.softplus(a), [x]),
  example('logSigmoid', (a: tf.Tensor) => tf.logSigmoid(a), [x]),
  example('swish', (a: tf.Tensor) => tf.mul(a, tf.sigmoid(a)), [x]),
  example('mish', (a: tf.Tensor) => tf.mul(a, tf.tanh(tf.softplus(a))), [x]),
  example(
    'gelu, by erf',
    (a: tf.Tensor) => tf.mul(a, tf.add(0.5, tf.mul(0.5, tf.erf(tf.mul(a, Math.SQRT1_2))))),
    [x],
  ),
  example(
    'gelu, by tanh',
    (a: tf.Tensor) => {
      const inner = tf.mul(Math.sqrt(2 / Math.PI), tf.add(a, tf.mul(0.044715, tf.pow(a, 3))));
      return tf.mul(tf.mul(0.5, a), tf.add(1, tf.tanh(inner)));
    },
    [input([3, 4], 0.2, 2)],
  ),
  example('relu', (a: tf.Tensor) => tf.relu(a), [x]),
  example('relu6', (a: tf.Tensor) => tf.relu6(tf.mul(a, 6)), [x]),
  example('leakyRelu', (a: tf.Tensor) => tf.leakyRelu(a, 0.3), [x]),
  example('prelu', (a: tf.Tensor, b: tf.Tensor) => tf.prelu(a, b), [x, input([4], 0.1, 0.5)]),
  example('elu', (a: tf.Tensor) => tf.elu(a), [x]),
  example('selu', (a: tf.Tensor) => tf.selu(a), [x]),
  example('clipByValue', (a: tf.Tensor) => tf.clipByValue(a, -0.7, 0.9), [x]),
  example(
    'where on a comparison',
    (a: tf.Tensor) => tf.where(tf.greater(a, 0), tf.square(a), tf.mul(a, 3)),
    [x],
  ),
  example(
    'a comparison as mask',
    (a: tf.Tensor) =>
      tf.mul(a, tf.cast(tf.logicalAnd(tf.less(a, 1), tf.notEqual(a, 9)), 'float32')),
    [x],
  ),
  example('argMax as mask', (a: tf.Tensor) => tf.mul(a, tf.oneHot(tf.argMax(a, 1), 4)), [x]),
  example('floorDiv', (a: tf.Tensor) => tf.add(a, tf.floorDiv(tf.add(a, 0.05), 0.4)), [x]),
  example(
    'round, floor, ceil, sign, step',
    (a: tf.Tensor) =>
      tf.addN([
        a,
        tf.round(tf.add(a, 0.02)),
        tf.floor(tf.add(a, 0.3)),
        tf.ceil(tf.add(a, 0.3)),
        tf.sign(a),
        tf.step(a),
      ]),
    [x],
  ),
  example(
    'cast to int and back',
    (a: tf.Tensor) => tf.add(a, tf.cast(tf.cast(tf.mul(a, 2.1), 'int32'), 'float32')),
    [x],
  ),
  example(
    'cast to bool and back',
    (a: tf.Tensor) => tf.mul(a, tf.cast(tf.cast(a, 'bool'), 'float32')),
    [x],
  ),
  example('isNaN as mask', (a: tf.Tensor) => tf.where(tf.isNaN(a), tf.zerosLike(a), tf.square(a)), [
    x,
  ]),
];
