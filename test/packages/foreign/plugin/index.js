// A plugin as a third party publishes it.
import { definePlugin } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import * as z from 'zod';

export const logitPenalty = definePlugin({
  id: 'logit-penalty',
  version: '1.0.0',
  exportedAs: 'espalier-plugin-logit-penalty#logitPenalty',
  options: z.strictObject({ weight: z.number().nonnegative().default(0.01) }),
  effects: { loss: 'add' },
  stateless: true,
  apply(ctx, { weight }) {
    ctx.hooks.loss.tap(({ outputs, terms, mean }) => {
      const [logits] = Object.values(outputs);
      terms.add('size', mean(tf.sum(tf.square(logits), -1)), { weight });
    });
  },
});
