import type { NamedTensors } from '@espalier/core';
import { exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import { labelGenerator, teacher } from '@espalier/plugin-soft-targets';
import { testPlugin, tinyCnn, tinyMlp } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { sequenceNet, small } from './support.js';

testPlugin(labelGenerator, [
  {
    name: 'sequences, labels for two steps',
    options: {
      channels: 3,
      labelWeight: { steps: 2, then: 0.1 },
      upsample: 'bilinear',
      head: 'hidden',
    },
    companions: () => [multiExit({ at: ['conv_1'] }), exitDistillation()],
    model: sequenceNet,
    session: small([8, 2], 2),
  },
]);

testPlugin(
  labelGenerator,
  [
    {
      name: 'maps, features not detached',
      options: { channels: 4, detach: false, merge: 'concat', lateral: 'normalized' },
      companions: () => [multiExit({ at: ['stage1_relu', 'stage2_relu'] }), exitDistillation()],
      model: tinyCnn,
      session: small([8, 8, 1]),
    },
  ],
  { backends: ['wasm'] },
);

const sum = (inputs: NamedTensors) => {
  const x = tf.sum(Object.values(inputs)[0]!, 1, true);
  return tf.concat([x, tf.neg(x), tf.zerosLike(x)], 1) as tf.Tensor2D;
};

testPlugin(
  teacher,
  [
    {
      name: 'a function',
      options: { predict: sum },
      companions: () => [multiExit({ at: ['hidden'] }), exitDistillation()],
      model: tinyMlp,
      session: small([6]),
    },
  ],
  { backends: ['wasm'] },
);
