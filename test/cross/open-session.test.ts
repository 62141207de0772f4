import { definePlugin } from '@espalier/core';
import { CHECKS, openSession, tinyMlp, valuesOf, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import * as z from 'zod';

const logitPenalty = definePlugin({
  id: 'logit-penalty',
  version: '1.0.0',
  options: z.strictObject({ weight: z.number().nonnegative().default(0.01) }),
  effects: { loss: 'add' },
  stateless: true,
  apply(ctx, { weight }) {
    ctx.hooks.loss.tap(({ outputs, terms, mean }) => {
      const [logits] = Object.values(outputs);
      terms.add('size', mean(tf.sum(tf.square(logits!), -1) as tf.Tensor1D), { weight });
    });
  },
});
const strong = { name: 'strong', factory: logitPenalty, options: { weight: 2 }, model: tinyMlp };

test('a session of a typed factory opens where no backend was set, and shows one term', async () => {
  expect(tf.getBackend()).toBeUndefined();
  await withSession(openSession(strong), async (session) => {
    const [x, y] = [tf.tensor2d([[1, 2, 3, 4, 5, 6]]), tf.tensor1d([0], 'int32')];
    const batch = await session.batch({ x, y }, 'reference');
    const size = session.objective(batch, { terms: ({ name }) => name === 'logit-penalty/size' });
    const values = valuesOf({ size, ...(await session.predict(x)) });
    let slow = 0;
    for (const logit of values.get('logits')!) slow += logit ** 2;
    expect(values.get('size')![0]).toBeCloseTo(2 * slow, 4);
  });
});

test('one check can be run on a typed factory', async () => {
  await CHECKS['options']!(strong);
});
