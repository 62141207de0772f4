import { crossEntropy } from '@espalier/core';
import { agreement, backendsUnderTest, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { sequenceCrossEntropy } from '../../examples/language-model/sequence-cross-entropy.js';

const ids = () => tf.tensor2d([0, 3, 2, 1, 1, 3], [2, 3], 'int32');

/** `[2, 3, 4]`, some of which no exponential of a float32 can hold. */
const logits = () =>
  tf.tensor3d(
    Array.from({ length: 24 }, (_, i) => (i === 5 ? 300 : Math.sin(7 * i) * 5)),
    [2, 3, 4],
  );

describe.each(backendsUnderTest())('sequenceCrossEntropy on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('values and gradients are those of crossEntropy', () => {
    const run = (loss: ReturnType<typeof crossEntropy>) => {
      const weigh = (x: Tensor) => tf.sum(tf.mul(loss.perExample(x, ids()), [1, 3]));
      const gradient = tf.grad(weigh as never)(logits());
      return [loss.perExample(logits(), ids()).dataSync(), gradient.dataSync()] as const;
    };
    const [values, gradient] = run(sequenceCrossEntropy());
    const [wantedValues, wantedGradient] = run(crossEntropy());
    expect(values[0]).toBeGreaterThan(50);
    expect(agreement([values], [wantedValues]).relativeError).toBeLessThan(1e-6);
    expect(agreement([gradient], [wantedGradient]).relativeError).toBeLessThan(1e-5);
  });
});
