import '@tensorflow/tfjs-backend-cpu';
import { createSession, iterableSource, meanSquaredError, sgd } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { expect, test } from 'vitest';

const X = [
  [1, 2],
  [-1, 0.5],
  [0, -2],
  [3, 1],
];
const Y = [1, 0, -1, 2];
const lossOf = (outputs: ArrayLike<number>) =>
  Y.reduce((sum, y, i) => sum + (y - outputs[i]!) ** 2, 0) / Y.length;
const makeModel = () => {
  return sequential({
    layers: [
      layers.dense({ units: 3, inputShape: [2], activation: 'tanh', kernelInitializer: 'ones' }),
      layers.dense({ units: 1, kernelInitializer: 'ones' }),
    ],
  });
};

/** Steps of a user's own optimizer, which has state. */
function ownSteps(optimizer: tf.Optimizer, x: tf.Tensor2D, w: tf.Variable, steps: number): void {
  for (let step = 0; step < steps; step++) {
    optimizer.minimize(() => tf.mean(tf.square(tf.matMul(x, w as unknown as tf.Tensor2D))));
  }
}

test('what was made on the cpu before a session goes on being used on a faster backend', async () => {
  const [x, y] = [tf.tensor2d(X), tf.tensor2d(Y, [4, 1])];
  expect(tf.getBackend()).toBe('cpu');
  const model = makeModel();
  const reference = tf.tidy(() => (model.predict(x) as tf.Tensor).dataSync());
  const w = tf.variable(tf.tensor2d([[0.5], [-0.25]]));
  const adam = tf.train.adam(0.1);
  ownSteps(adam, x, w, 2);
  const onCpu = tf.variable(tf.tensor2d([[0.5], [-0.25]]));
  ownSteps(tf.train.adam(0.1), x, onCpu, 4);
  const expected = onCpu.dataSync();

  const session = await createSession({
    model,
    loss: meanSquaredError(),
    optimizer: sgd({ learningRate: 0.1 }),
    train: iterableSource(
      async function* () {
        yield { x: tf.clone(x), y: tf.clone(y) };
      },
      { fingerprint: 'early' },
    ),
  });
  const warnings: string[] = [];
  session.telemetry.on('warning', ({ message }) => warnings.push(message));

  // The fastest that this machine has; wasm comes with the package.
  expect(session.backend.name).not.toBe('cpu');
  expect(warnings).toEqual([expect.stringContaining('takes the place of cpu')]);
  expect([...x.dataSync()]).toEqual(X.flat());
  const after = tf.tidy(() => (model.predict(x) as tf.Tensor).dataSync());
  reference.forEach((value, i) => expect(after[i]).toBeCloseTo(value, 5));
  ownSteps(adam, x, w, 2);
  expected.forEach((value, i) => expect(w.dataSync()[i]).toBeCloseTo(value, 5));

  const { history } = await session.fit({ epochs: 3 });
  const losses = history.map(({ metrics }) => metrics['loss']!);
  expect(losses[0]).toBeCloseTo(lossOf(reference), 4);
  expect(losses[2]).toBeLessThan(losses[0]!);
  await session.dispose();
});
