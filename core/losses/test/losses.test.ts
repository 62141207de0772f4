import { keyedRng } from '@espalier/base';
import {
  accuracy,
  binaryCrossEntropy,
  crossEntropy,
  meanSquaredError,
  toDistribution,
  weightedMean,
} from '@espalier/losses';
import type { Loss } from '@espalier/losses';
import { agreement, backendsUnderTest, finiteDifferences, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';

const [ROWS, CLASSES] = [5, 4];
const draw = keyedRng(0, 'losses');
const logits = Array.from({ length: ROWS }, () =>
  Array.from({ length: CLASSES }, () => 4 * draw() - 2),
);
const ids = [0, 3, 1, 1, 2];
const soft = logits.map((row) => softmax(row.map((z) => -z)));

function softmax(row: readonly number[]): number[] {
  const exps = row.map(Math.exp);
  const sum = exps.reduce((a, b) => a + b, 0);
  return exps.map((e) => e / sum);
}

const hard = ids.map((id) => Array.from({ length: CLASSES }, (_, c) => (c === id ? 1 : 0)));
const entropy = (q: readonly number[], row: readonly number[]) =>
  -softmax(row).reduce((sum, p, c) => sum + q[c]! * Math.log(p), 0);

describe.each(backendsUnderTest())('losses on %s', (backend) => {
  beforeAll(() => onBackend(backend));
  const output = () => tf.tensor2d(logits);
  const close = (actual: tf.Tensor, expected: readonly number[]) => {
    const values = Array.from(actual.dataSync());
    expect(values).toHaveLength(expected.length);
    values.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 5));
  };

  test('cross-entropy equals the textbook, from class ids and from distributions', () => {
    close(
      crossEntropy().perExample(output(), tf.tensor1d(ids, 'int32')),
      hard.map((q, i) => entropy(q, logits[i]!)),
    );
    close(
      crossEntropy().perExample(output(), tf.tensor1d(ids)),
      hard.map((q, i) => entropy(q, logits[i]!)),
    );
    close(
      crossEntropy().perExample(output(), tf.tensor2d(soft)),
      soft.map((q, i) => entropy(q, logits[i]!)),
    );
    const probabilities = tf.tensor2d(logits.map(softmax));
    const loss = crossEntropy({ from: 'probabilities' });
    close(
      loss.perExample(probabilities, tf.tensor1d(ids, 'int32')),
      hard.map((q, i) => entropy(q, logits[i]!)),
    );
  });

  test('time steps are averaged', () => {
    const sequence = tf.reshape(tf.concat([output(), output()], 1), [ROWS, 2, CLASSES]);
    const targets = tf.stack([tf.tensor1d(ids, 'int32'), tf.tensor1d(ids, 'int32')], 1);
    const expected = hard.map((q, i) => entropy(q, logits[i]!));
    close(crossEntropy().perExample(sequence, targets), expected);
  });

  test('class ids become one-hot; accuracy counts', () => {
    close(toDistribution(tf.tensor1d(ids, 'int32'), output()), hard.flat());
    const hits = ids.map((id, i) => (logits[i]!.indexOf(Math.max(...logits[i]!)) === id ? 1 : 0));
    close(accuracy(output(), tf.tensor1d(ids, 'int32')), hits);
    close(accuracy(output(), tf.tensor2d(hard)), hits);
  });

  test('the mean over examples goes by weight, and is 0 where all are masked out', () => {
    const values = tf.tensor1d([1, 2, 6]);
    const mean = (weights?: number[]) =>
      weightedMean(values, {
        size: 3,
        ...(weights && { weights: tf.tensor1d(weights) }),
        weightSum: (weights ?? [1, 1, 1]).reduce((a, b) => a + b),
      });
    close(mean(), [3]);
    close(mean([1, 0, 1]), [3.5]);
    close(mean([0, 0, 0]), [0]);
    expect(() => weightedMean(tf.zeros([2]), { size: 3, weightSum: 3 })).toThrow(/\[3\]/);
  });

  test('binary cross-entropy and squared error equal the textbook', () => {
    const bits = hard.map((row) => row.map((v) => v));
    const bce = logits.map(
      (row, i) =>
        row.reduce((sum, z, c) => sum + Math.log(1 + Math.exp(z)) - bits[i]![c]! * z, 0) / CLASSES,
    );
    close(binaryCrossEntropy().perExample(output(), tf.tensor2d(bits)), bce);
    const mse = logits.map(
      (row, i) => row.reduce((sum, z, c) => sum + (z - soft[i]![c]!) ** 2, 0) / CLASSES,
    );
    close(meanSquaredError().perExample(output(), tf.tensor2d(soft)), mse);
  });

  test.each<[string, Loss, number[][]]>([
    ['cross-entropy', crossEntropy(), soft],
    ['binary cross-entropy', binaryCrossEntropy(), hard],
    ['mean squared error', meanSquaredError(), soft],
  ])('the gradient of %s agrees with finite differences', (_name, loss, target) => {
    const f = (x: tf.Tensor) => tf.mean(loss.perExample(x, tf.tensor2d(target))) as tf.Scalar;
    const analytic = tf.grad(f)(output());
    const numeric = finiteDifferences(f, [output()]);
    const { cosine, relativeError } = agreement([analytic.dataSync()], numeric);
    expect(cosine).toBeGreaterThan(0.9999);
    expect(relativeError).toBeLessThan(1e-2);
  });
});
