import { definePlugin, toDistribution } from '@espalier/core';
import type { Batch, NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import * as z from 'zod';

/** Plugins that third parties might write; they prove that the contract carries them. */

export const labelSmoothing = definePlugin({
  id: 'label-smoothing',
  version: '1.0.0',
  options: z.strictObject({ epsilon: z.number().min(0).max(1).default(0.1) }),
  effects: { 'targets:logits': 'modify' },
  stateless: true,
  apply(ctx, { epsilon }) {
    ctx.hooks.targets.tap((targets) => {
      const q = toDistribution(targets['logits']!, ctx.model.outputShapes['logits']!);
      const uniform = epsilon / q.shape[q.rank - 1]!;
      return { ...targets, logits: tf.add(tf.mul(q, 1 - epsilon), uniform) };
    });
  },
});

/** A foreign loss term whose strength is a tensor that a meta-optimizer can differentiate. */
export const penalty: { strength: Scalar | number } = { strength: 0.05 };
export const weightPenalty = definePlugin({
  id: 'weight-penalty',
  version: '1.0.0',
  options: z.strictObject({ trains: z.array(z.string()).optional() }),
  effects: { loss: 'add' },
  stateless: true,
  apply(ctx, { trains }) {
    ctx.hooks.loss.tap(({ outputs, terms, mean }) => {
      const size = mean(tf.sum(tf.square(outputs['logits']!), -1) as tf.Tensor1D);
      terms.add('size', tf.mul(size, penalty.strength), trains && { groups: trains });
    });
  },
});

/** Extragradient (Korpelevich 1976): steps with the gradient at a look-ahead point. */
export const extragradient = definePlugin({
  id: 'extragradient',
  version: '1.0.0',
  options: z.strictObject({ stepSize: z.number().positive().default(0.05) }),
  effects: { gradients: 'replace' },
  stateless: true,
  apply(ctx, { stepSize }) {
    ctx.hooks.gradients.tap((gradients) =>
      ctx.windowGradients(lookAhead(ctx.parameters(), gradients, stepSize)),
    );
  },
});

export function lookAhead(
  parameters: NamedTensors,
  gradients: NamedTensors,
  stepSize: number,
): NamedTensors {
  return Object.fromEntries(
    Object.entries(gradients).map(([path, g]) => [
      path,
      tf.sub(parameters[path]!, tf.mul(g, stepSize)) as Tensor,
    ]),
  );
}

/** One-step meta-gradient: learns the penalty's strength so that the next batch's loss falls. */
export const metaStrength = definePlugin({
  id: 'meta-strength',
  version: '1.0.0',
  options: z.strictObject({ inner: z.number().default(0.1), outer: z.number().default(0.1) }),
  order: { requires: ['weight-penalty'] },
  apply(ctx, { inner, outer }) {
    const phi = tf.variable(tf.scalar(0.05));
    const hypergradients: number[] = [];
    ctx.hooks.beforeStep.tap(async ({ microBatches: window }) => {
      const [first, second] = [window[0]!, window[1] ?? window[0]!];
      const gradient = tf.tidy(() => tf.grad((s) => outerLoss(s as Scalar, first, second))(phi));
      hypergradients.push((await gradient.data())[0]!);
      tf.tidy(() => phi.assign(tf.sub(phi, tf.mul(gradient, outer))));
      gradient.dispose();
      penalty.strength = phi;
    });
    const outerLoss = (strength: Scalar, first: Batch, second: Batch): Scalar => {
      penalty.strength = strength;
      const { gradients } = ctx.gradients(first);
      const params = lookAhead(ctx.parameters(), gradients, inner);
      return ctx.objective(second, { params, terms: ({ owner }) => owner === 'task' });
    };
    ctx.keepState({
      version: 1,
      save: () => ({ tensors: { phi } }),
      load: ({ tensors }) => {
        phi.assign(tensors!['phi'] as Scalar);
        penalty.strength = phi;
      },
    });
    ctx.onTeardown(() => {
      penalty.strength = 0.05;
      phi.dispose();
    });
  },
});
