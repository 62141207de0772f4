import { definePlugin, EspalierError, suggest, toDistribution } from '@espalier/core';
import type { PluginContext } from '@espalier/core';
import { z } from 'zod';
import { smoothLabels } from './smooth-labels.js';

/**
 * Label smoothing (Szegedy et al. 2016): in training, a label q becomes (1 − ε)·q + ε/K over K
 * classes. Every term that reads the targets learns from the smoothed ones, those of exits too;
 * validation and its metrics keep the labels as they are. Smooths all outputs, or those in `outputs`.
 *
 * @throws EspalierError at setup: `label-smoothing/output`, `label-smoothing/no-classes`.
 * @example
 * const session = await createSession({
 *   model, loss: crossEntropy(), optimizer: sgd({ learningRate: 0.1 }), train,
 *   plugins: [labelSmoothing({ epsilon: 0.1 })],
 * });
 */
export const labelSmoothing = definePlugin({
  id: 'label-smoothing',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-label-smoothing#labelSmoothing',
  options: z.strictObject({
    epsilon: z
      .number()
      .min(0)
      .lt(1, 'must be below 1, or nothing is left of the labels')
      .default(0.1),
    outputs: z.array(z.string()).min(1).optional(),
  }),
  effects: { targets: 'modify' },
  stateless: true,
  apply(ctx, { epsilon, outputs = Object.keys(ctx.losses) }) {
    outputs.forEach((output) => checkClasses(output, ctx.losses));
    ctx.hooks.targets.tap((targets) => {
      const smoothed = outputs.map((output) => {
        const labels = toDistribution(targets[output]!, ctx.model.outputShapes[output]!);
        return [output, smoothLabels(labels, epsilon)] as const;
      });
      return { ...targets, ...Object.fromEntries(smoothed) };
    });
  },
});

function checkClasses(output: string, losses: PluginContext['losses']): void {
  const loss = losses[output];
  if (!loss) {
    throw new EspalierError('label-smoothing/output', {
      problem: `there is no loss for an output '${output}'`,
      fix: suggest(output, Object.keys(losses)),
    });
  }
  if (loss.classIds) return;
  throw new EspalierError('label-smoothing/no-classes', {
    problem: `the targets of output '${output}' are no labels of classes: its loss is ${loss.name}`,
    fix: 'Train classes with crossEntropy(), or name the outputs to smooth with the option outputs. If your own loss takes labels of classes, say so: classes: true of attach, or classIds: true in the loss.',
  });
}
