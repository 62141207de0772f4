import { keyedRng } from '@espalier/base';
import { ResetAfterGRU } from '@espalier/formats';
import { disposeModel, Network, listParameters } from '@espalier/model';
import { agreement, backendsUnderTest, finiteDifferences, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';

const make = (useBias = true) =>
  tfl.sequential({
    layers: [new ResetAfterGRU({ units: 3, useBias, inputShape: [4, 2], returnSequences: true })],
  });

const random = (shape: number[], purpose: string) => {
  const draw = keyedRng(0, purpose);
  const size = shape.reduce((a, b) => a * b, 1);
  return tf.tensor(
    Float32Array.from({ length: size }, () => 2 * draw() - 1),
    shape,
  );
};

const setRandom = (model: LayersModel, purpose: string) => {
  const values = model.weights.map(({ shape }, i) => random(shape as number[], `${purpose}${i}`));
  model.setWeights(values);
  tf.dispose(values);
};

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each([true, false])('gradients, bias %s', (useBias) => {
    const model = make(useBias);
    const [x, target] = [random([2, 4, 2], 'x'), random([2, 4, 3], 'target')];
    const network = new Network(model);
    const paths = listParameters(model).map(({ path }) => path);
    const values = paths.map((path, i) => random(model.weights[i]!.shape as number[], path));
    const loss = (input: Tensor, ...weights: Tensor[]) =>
      tf.tidy(() => {
        const substitute = new Map(paths.map((path, i) => [path, weights[i]!]));
        const { outputs } = network.execute(
          { [network.inputNames[0]!]: input },
          {
            training: true,
            substitute,
          },
        );
        const [output] = Object.values(outputs);
        return tf.sum(tf.mul(output!, target)) as Scalar;
      });
    const gradients = tf.grads(loss)([x, ...values]);
    const analytic = gradients.map((gradient) => gradient.dataSync() as Float32Array);
    const numeric = finiteDifferences(loss, [x, ...values]);
    expect(paths).toHaveLength(useBias ? 3 : 2);
    expect(agreement(analytic, numeric).relativeError).toBeLessThan(2e-3);
    tf.dispose([x, target, values, gradients]);
    disposeModel(model);
  });

  test('trains towards another one', async () => {
    const [model, teacher] = [make(), make()];
    setRandom(model, 'student');
    setRandom(teacher, 'teacher');
    const x = random([16, 4, 2], 'x');
    const y = teacher.predict(x) as Tensor;
    model.compile({ optimizer: tf.train.adam(0.05), loss: 'meanSquaredError' });
    const { history } = await model.fit(x, y, { epochs: 40, shuffle: false, verbose: 0 });
    const losses = history['loss'] as number[];
    expect(losses.at(-1)).toBeLessThan(0.2 * losses[0]!);
    tf.dispose([x, y]);
    [model, teacher].forEach(disposeModel);
  });
});
