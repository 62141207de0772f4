import type { NamedTensors } from '@espalier/core';
import { kd } from '@espalier/preset-kd';
import { testPreset } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';

const teacher = () => ({
  predict(inputs: NamedTensors) {
    const x = tf.sum(Object.values(inputs)[0]!, 1, true);
    return tf.concat([x, tf.neg(x), tf.zerosLike(x)], 1) as tf.Tensor2D;
  },
});

testPreset(kd, [{ name: 'a teacher, other temperature', options: { teacher, temperature: 2 } }]);
