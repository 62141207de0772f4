import { definePlugin, SOFT_TARGETS } from '@espalier/core';
import type { SoftTargets } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { listTaughtExits, taughtExits } from './list-taught-exits.js';

/**
 * A teacher that knows nothing: every class is as likely as the others. Provides `SOFT_TARGETS` with
 * logits `[batch, classes]` of zeros, so distillation becomes label smoothing of the exits. What another
 * teacher gains over this one, it gains by what it knows.
 *
 * @throws EspalierError in the first step: `uniform-targets/exits`.
 * @example
 * const plugins = [multiExit(), uniformTargets({ exits: 'auxiliary' }), exitDistillation()];
 */
export const uniformTargets = definePlugin({
  id: 'uniform-targets',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-soft-targets#uniformTargets',
  options: z.strictObject({ exits: taughtExits }),
  stateless: true,
  apply(ctx, { exits }) {
    ctx.provide(SOFT_TARGETS, (): SoftTargets => {
      const names = listTaughtExits(ctx, exits);
      return {
        name: 'uniform',
        uniform: true,
        logits: ({ outputs }) =>
          Object.fromEntries(
            names.map((name) => [name, tf.zerosLike(outputs[name] as Tensor2D)] as const),
          ),
      };
    });
  },
});
