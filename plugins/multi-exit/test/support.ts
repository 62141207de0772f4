import { createSession, crossEntropy, definePlugin, sgd } from '@espalier/core';
import type { LossContext, Plugin, PluginContext, Session, SessionConfig } from '@espalier/core';
import { inputShapeOf, tinySource } from '@espalier/testkit';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { z } from 'zod';

/** A run of a tiny model with these plugins. */
export function open(
  model: () => LayersModel,
  plugins: readonly Plugin[],
  more: Partial<SessionConfig> = {},
): Promise<Session> {
  const probe = model();
  const shape = inputShapeOf(probe);
  probe.dispose();
  return createSession({
    model,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.05 }),
    train: tinySource({ shape, examples: 12 }),
    validation: tinySource({ shape, seed: 1 }),
    seed: 3,
    plugins,
    ...more,
  });
}

/** A plugin that hands over its context, and everything a `loss` tap sees. */
export function observer(see: (seen: LossContext, context: PluginContext) => void) {
  return definePlugin({
    id: 'observer',
    version: '0.0.0',
    options: z.strictObject({}),
    effects: { loss: 'add' },
    order: {
      after: ['multi-exit', 'exit-distillation'],
      optional: ['multi-exit', 'exit-distillation'],
    },
    stateless: true,
    apply(ctx) {
      ctx.hooks.loss.tap((seen) => see(seen, ctx as unknown as PluginContext));
    },
  })();
}
