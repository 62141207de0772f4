import { binaryCrossEntropy } from '@espalier/core';
import type { Source } from '@espalier/core';
import { cutmix, cutout, mixup, randomCrop, randomFlip } from '@espalier/plugin-augmentation';
import { testPlugin, tinySource } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { flatModel as model, numberTargets, SHAPE } from './support.js';

const images = tinySource({ shape: SHAPE });

/** Weights of 1 and 2; the last example of each batch is masked out. */
const train: Source = {
  ...images,
  async *iterate(options) {
    for await (const batch of images.iterate(options)) {
      yield { ...batch, weights: tf.tensor1d([1, 2, 1, 0]) };
    }
  },
};

testPlugin(randomCrop, [{ name: 'reflected', model, options: { padding: 2, mode: 'reflect' } }]);
testPlugin(randomFlip, [{ name: 'both ways', model, options: { vertical: true } }]);
testPlugin(cutout, [{ name: 'small', model, options: { size: 3, fill: 0.5 } }]);
testPlugin(mixup, [{ name: 'weighted', model, options: { per: 'example' }, session: { train } }]);
testPlugin(cutmix, [
  {
    name: 'independent labels, after the others',
    model,
    options: { per: 'example' },
    companions: () => [randomCrop(), randomFlip(), cutout({ size: 4 })],
    session: {
      loss: binaryCrossEntropy(),
      train: numberTargets(0, SHAPE),
      validation: numberTargets(1, SHAPE),
    },
  },
]);
