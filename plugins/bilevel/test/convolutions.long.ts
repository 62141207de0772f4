import { arraySource, createSession, crossEntropy, sgd } from '@espalier/core';
import { ESTIMATORS, runProblem, verify } from '@espalier/plugin-bilevel';
import {
  backendsUnderTest,
  onBackend,
  tensorsLeakedBy,
  tinyData,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { softLabels } from './soft-labels.js';

/** Batch norm, both poolings, tanh, softmax and dropout. */
function convNet(): tfl.LayersModel {
  const { conv2d, batchNormalization, activation, maxPooling2d, averagePooling2d } = tfl.layers;
  return tfl.sequential({
    layers: [
      conv2d({ name: 'first', filters: 4, kernelSize: 3, padding: 'same', inputShape: [8, 8, 1] }),
      batchNormalization({ name: 'norm' }),
      activation({ name: 'tanh', activation: 'tanh' }),
      maxPooling2d({ name: 'max', poolSize: 2 }),
      conv2d({ name: 'second', filters: 4, kernelSize: 3, padding: 'same' }),
      activation({ name: 'attention', activation: 'softmax' }),
      averagePooling2d({ name: 'average', poolSize: 3, strides: 2, padding: 'same' }),
      tfl.layers.flatten({ name: 'hidden' }),
      tfl.layers.dropout({ name: 'dropout', rate: 0.2 }),
      tfl.layers.dense({ name: 'logits', units: 3 }),
    ],
  });
}

describe.each(backendsUnderTest())('a convolutional network on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('every estimator agrees with brute force, dropout and mixed labels included', () =>
    withSession(
      createSession({
        model: convNet,
        loss: crossEntropy(),
        optimizer: sgd({ learningRate: 0.1 }),
        train: arraySource({ ...tinyData({ shape: [8, 8, 1] }), batchSize: 4 }),
        plugins: [softLabels({ layer: 'average', features: [2, 2, 4], weight: 3 })],
      }),
      async (session) => {
        const { x, y } = tinyData({ shape: [8, 8, 1], examples: 16 });
        const batch = (from: number, share: number) =>
          tf.tidy(() => {
            const images = tf.slice(tf.tensor(x.data, x.shape as number[]), from, 8);
            const hot = tf.oneHot(tf.slice(tf.tensor1d(Array.from(y.data), 'int32'), from, 8), 3);
            const labels = tf.cast(hot, 'float32');
            const mixed = (each: tf.Tensor) =>
              tf.add(tf.mul(each, share), tf.mul(tf.reverse(each, 0), 1 - share));
            return { x: mixed(images), y: mixed(labels) };
          });
        const problem = runProblem(session, {
          variables: ['soft-labels:*'],
          microBatches: [await session.batch(batch(0, 0.7), 'a')],
          outer: await session.batch(batch(8, 1), 'b'),
          loss: ['task/*'],
          optimizer: sgd({ learningRate: 0.5 }),
        });
        const { jvp, unroll: exact, 'finite-difference': differences } = ESTIMATORS;
        const { results, failed } = await verify(problem, {
          estimators: { jvp, exact, differences },
          directions: 8,
          runs: 1,
        });
        expect(failed).toEqual({});
        for (const { cosine } of results) expect(cosine).toBeGreaterThan(0.9999);
        expect(results).toHaveLength(3);
        expect(await tensorsLeakedBy(() => verify(problem, { directions: 1, runs: 1 }))).toBe(0);
      },
    ));
});
