import type { NamedTensors } from '@espalier/core';
import { byot, deeplySupervised, kd, labelSmoothing, psKd } from '@espalier/preset-baselines';
import { testPreset, tinyCnn, tinySource } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';

const images = tinySource({ shape: [8, 8, 1], examples: 12 });

testPreset(byot, [
  {
    name: 'an exit at the first stage',
    options: { at: ['stage1_relu'], hint: 0.01 },
    model: tinyCnn,
    session: { train: images, validation: images },
  },
]);

testPreset(deeplySupervised, [{ name: 'defaults' }]);

const teacher = () => ({
  predict(inputs: NamedTensors) {
    const x = tf.sum(Object.values(inputs)[0]!, 1, true);
    return tf.concat([x, tf.neg(x), tf.zerosLike(x)], 1) as tf.Tensor2D;
  },
});

testPreset(kd, [{ name: 'a teacher, other temperature', options: { teacher, temperature: 2 } }]);

testPreset(labelSmoothing, [{ name: 'half', options: { epsilon: 0.5 } }]);

testPreset(psKd, [{ name: 'four epochs', options: { epochs: 4 } }]);
