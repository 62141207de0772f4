import { attach } from '@espalier/attach';
import type { Plugin } from '@espalier/core';
import {
  bestWeights,
  classWeights,
  earlyStopping,
  ema,
  reduceOnPlateau,
  trainingMetrics,
} from '@espalier/plugin-everyday';
import { firstDifference, onBackend, tinyData, valuesOf } from '@espalier/testkit';
import type { Values } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { scoring } from './support.js';

beforeAll(() => onBackend('cpu'));

const EXAMPLES = 12;
const { x, y } = tinyData({ examples: EXAMPLES });
const LEARNING_RATE = 0.5;

/** A compiled model of fixed weights. */
function compiled(learningRate = LEARNING_RATE): tfl.LayersModel {
  const layer = (units: number, more: object) =>
    tfl.layers.dense({
      units,
      kernelInitializer: tfl.initializers.randomNormal({ seed: 1 }),
      ...more,
    });
  const model = tfl.sequential({
    layers: [
      layer(4, { inputShape: [6], activation: 'tanh' }),
      layer(3, { activation: 'softmax' }),
    ],
  });
  const optimizer = tf.train.momentum(learningRate, 0.9);
  model.compile({ optimizer, loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] });
  return model;
}

/** Attaches plugins, fits, and gives back the weights and the history. */
async function fit(
  plugins: readonly Plugin[],
  args: tfl.ModelFitArgs = {},
  model = compiled(),
): Promise<{ weights: Values; history: tfl.History['history'] }> {
  const data = [
    tf.tensor2d(x.data as Float32Array, [EXAMPLES, 6]),
    tf.tensor1d(Array.from(y.data)),
  ] as const;
  const run = plugins.length > 0 ? await attach(model, plugins as never) : undefined;
  const { history } = await model.fit(...data, {
    batchSize: EXAMPLES,
    epochs: 6,
    shuffle: false,
    ...args,
  });
  const weights = valuesOf(Object.fromEntries(model.getWeights().map((value, i) => [i, value])));
  await run?.detach();
  tf.dispose([...data]);
  model.dispose();
  return { weights, history };
}

describe('in model.fit of a compiled model', () => {
  const least = { monitor: 'score', mode: 'min' } as const;

  test('early stopping stops it', async () => {
    const plugins = [scoring([3, 2, 2, 2, 1, 1]), earlyStopping({ ...least, patience: 2 })];
    expect((await fit(plugins)).history['loss']).toHaveLength(4);
    const { history } = await fit([earlyStopping({ patience: 1, minDelta: 100 })], {
      validationSplit: 0.5,
    });
    expect(history['val_loss']).toHaveLength(2);
  });

  test('best weights are put back', async () => {
    const { weights } = await fit([scoring([3, 1, 2, 2, 2, 2]), bestWeights(least)]);
    const shorter = await fit([], { epochs: 2 });
    expect(firstDifference(weights, shorter.weights)).toBeUndefined();
  });

  test('a plateau reduces its learning rate', async () => {
    const reducing = reduceOnPlateau({ ...least, factor: 0.5, patience: 1, minFactor: 0.5 });
    const { weights } = await fit([scoring([1, 1, 1, 1, 1, 1]), reducing]);
    const model = compiled();
    const callbacks = {
      onEpochBegin: (epoch: number) => {
        if (epoch === 2) Object.assign(model.optimizer, { learningRate: LEARNING_RATE / 2 });
      },
    };
    expect(
      firstDifference(
        weights,
        (await fit([scoring([1, 1, 1, 1, 1, 1])], { callbacks }, model)).weights,
      ),
    ).toBeUndefined();
  });

  test('class weights are those of fit', async () => {
    const table = { 0: 0.5, 1: 1, 2: 4 };
    const mine = await fit([classWeights({ weights: table })]);
    const theirs = await fit([], { classWeight: table });
    expect(firstDifference(mine.weights, theirs.weights)).toBeUndefined();
  });

  test('an average is put in place, and training metrics are no part of it', async () => {
    const [plain, averaged] = [
      await fit([]),
      await fit([ema({ decay: 0.5, evaluate: false }), trainingMetrics({ compute: ['f1'] })]),
    ];
    expect(firstDifference(plain.weights, averaged.weights)).toBeDefined();
    expect(averaged.history['loss']).toEqual(plain.history['loss']);
  });
});
