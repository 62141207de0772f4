import { attach } from '@espalier/attach';
import { labelSmoothing } from '@espalier/preset-baselines';
import * as tf from '@tensorflow/tfjs-core';
import { insideCircle } from './circle.js';

const HIDDEN = 16;

const matrix = (rows: number, columns: number, seed: number) =>
  tf.variable(tf.randomNormal([rows, columns], 0, Math.sqrt(2 / rows), 'float32', seed));

const createParams = () => ({
  w1: matrix(2, HIDDEN, 1),
  b1: tf.variable(tf.zeros([HIDDEN])),
  w2: matrix(HIDDEN, 2, 2),
  b2: tf.variable(tf.zeros([2])),
});
type Params = ReturnType<typeof createParams>;
type Batch = Readonly<Record<'x' | 'y', tf.Tensor>>;

function apply({ w1, b1, w2, b2 }: Record<keyof Params, tf.Tensor>, x: tf.Tensor): tf.Tensor {
  const hidden = tf.relu(tf.add(tf.matMul(x, w1), b1));
  return tf.add(tf.matMul(hidden, w2), b2);
}

const loss = tf.losses.softmaxCrossEntropy;

async function train(
  params: Params,
  lossOf = ({ x, y }: Batch): tf.Tensor => loss(y, apply(params, x)),
) {
  const optimizer = tf.train.adam(0.02);
  lossOf = (await attach({ params, apply, loss, inputShape: [2] }, labelSmoothing())).loss;
  const losses: number[] = [];
  for (let step = 0; step < 120; step++) {
    const batch = insideCircle(`step ${step}`, 32);
    const value = optimizer.minimize(() => lossOf(batch) as tf.Scalar, true)!;
    losses.push((await value.data())[0]!);
    tf.dispose([value, batch]);
  }
  return losses;
}

/** Variables without a model, trained by `optimizer.minimize`. */
export async function run() {
  const params = createParams();
  const losses = await train(params);
  const test = insideCircle('test', 200);
  const accuracy = tf.tidy(() => {
    const found = tf.argMax(apply(params, test.x), -1);
    return tf.mean(tf.equal(found, tf.argMax(test.y, -1))).dataSync()[0]!;
  });
  return { steps: losses.length, loss: losses.at(-1)!, accuracy };
}
