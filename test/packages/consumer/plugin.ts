// A plugin as a third party writes it; every line marked below must not compile.
import { definePlugin } from '@espalier/core';
import type { PluginFactory, SavedState } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';

export const logitPenalty = definePlugin({
  id: 'logit-penalty',
  version: '1.0.0',
  options: z.strictObject({ weight: z.number().nonnegative().default(0.01) }),
  effects: { loss: 'add' },
  apply(ctx, { weight }) {
    const strength: number = weight;
    let steps = 0;
    ctx.keepState({
      version: 1,
      save: (): SavedState => ({ json: steps }),
      load: ({ json }) => void (steps = Number(json)),
    });
    ctx.hooks.loss.tap(({ outputs, terms, mean }) => {
      const logits = outputs['logits'];
      if (logits) terms.add('size', mean(tf.sum(tf.square(logits), -1)), { weight: strength });
    });
    // @ts-expect-error: no effect on gradients is declared
    ctx.hooks.gradients.tap((gradients) => gradients);
    // @ts-expect-error: nor one on the structure
    void ctx.edit;
  },
});

logitPenalty satisfies PluginFactory<
  (typeof logitPenalty)['definition']['options'],
  { loss: 'add' }
>;

// @ts-expect-error: the option is a number
logitPenalty({ weight: 'heavy' });
