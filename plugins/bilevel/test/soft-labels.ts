import { definePlugin, toDistribution } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { z } from 'zod';

/**
 * A plugin with something to learn on the outside: a small network makes soft targets of a feature
 * map, towards which the cross-entropy pulls the output.
 */
export const softLabels = definePlugin({
  id: 'soft-labels',
  version: '1.0.0',
  options: z.strictObject({
    layer: z.string(),
    features: z.array(z.number()),
    weight: z.number().default(1),
  }),
  effects: { loss: 'add', 'structure:soft-labels': 'add' },
  stateless: true,
  apply(ctx, { layer, features: inputShape, weight }) {
    ctx.requestFeatures([layer]);
    const size = inputShape.reduce((product, each) => product * each, 1);
    const generator = ctx.addNetwork(() =>
      sequential({
        layers: [
          layers.reshape({ inputShape: [...inputShape], targetShape: [size], name: 'features' }),
          layers.dense({ units: 6, activation: 'tanh', name: 'hidden' }),
          layers.batchNormalization({ name: 'norm', momentum: 0.9 }),
          layers.dense({ units: 3, name: 'soft' }),
        ],
      }),
    );
    ctx.hooks.loss.tap(({ features, outputs, targets, terms, mean }) => {
      const input = { features_input: features[layer]! };
      const soft = generator.execute(input, { detach: true })['soft']!;
      const q = tf.softmax(tf.div(soft, 2));
      const p = tf.logSoftmax(tf.div(outputs['logits']!, 2));
      const hard = toDistribution(targets['logits']!, outputs['logits']!.shape);
      const both = tf.div(tf.add(q, hard), 2);
      const value = mean(tf.neg(tf.sum(tf.mul(both, p), -1)) as Tensor1D);
      terms.add('soft', value, { weight });
    });
  },
});
