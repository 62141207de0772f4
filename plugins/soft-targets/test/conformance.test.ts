import type { NamedTensors } from '@espalier/core';
import { exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import {
  exitEnsemble,
  exitMixture,
  labelGenerator,
  previousEpoch,
  teacher,
  uniformTargets,
} from '@espalier/plugin-soft-targets';
import { testPlugin, tinyCnn, tinyMlp, tinySource } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { sequenceNet } from './support.js';

const small = (shape: readonly number[], classes = 3) => {
  const source = tinySource({ shape, classes, examples: 12 });
  return { train: source, validation: source };
};
const distilled = () => [multiExit({ at: ['hidden'] }), exitDistillation()];
const vectors = { model: tinyMlp, session: small([6]), companions: distilled };

testPlugin(labelGenerator, [
  { name: 'vectors, defaults', ...vectors },
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

testPlugin(exitEnsemble, [{ name: 'arithmetic', options: { mean: 'arithmetic' }, ...vectors }]);

testPlugin(exitMixture, [{ name: 'deeper', options: { members: 'deeper' }, ...vectors }]);

testPlugin(previousEpoch, [{ name: 'exits', options: { exits: 'auxiliary' }, ...vectors }]);

testPlugin(uniformTargets, [{ name: 'auxiliary', options: { exits: 'auxiliary' }, ...vectors }]);

const sum = (inputs: NamedTensors) => {
  const x = tf.sum(Object.values(inputs)[0]!, 1, true);
  return tf.concat([x, tf.neg(x), tf.zerosLike(x)], 1) as tf.Tensor2D;
};

testPlugin(teacher, [
  {
    name: 'a model, without exits',
    options: { model: tinyMlp },
    companions: () => [exitDistillation({ alpha: 0.9 })],
    session: small([6]),
  },
]);

testPlugin(teacher, [{ name: 'a function', options: { predict: sum }, ...vectors }], {
  backends: ['wasm'],
});
