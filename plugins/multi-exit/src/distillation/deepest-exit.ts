import { definePlugin, EXITS, SOFT_TARGETS, stopGradient } from '@espalier/core';
import type { SoftTargets } from '@espalier/core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { z } from 'zod';

/**
 * The deepest exit teaches all others (BYOT, Zhang et al. 2019): provides `SOFT_TARGETS` with the
 * logits of the network's own output for each auxiliary exit. Detached by default, so that students
 * do not pull their teacher down; `detach: false` lets the divergence train the teacher too.
 *
 * @example
 * const plugins = [multiExit(), deepestExit(), exitDistillation({ temperature: 3 })];
 */
export const deepestExit = definePlugin({
  id: 'deepest-exit',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-multi-exit#deepestExit',
  options: z.strictObject({ detach: z.boolean().default(true) }),
  stateless: true,
  apply(ctx, { detach }) {
    ctx.provide(SOFT_TARGETS, (): SoftTargets => {
      const names = ctx.get(EXITS).names;
      return {
        name: 'deepest-exit',
        logits({ outputs }) {
          const deepest = outputs[names.at(-1)!]!;
          const taught = (detach ? stopGradient(deepest) : deepest) as Tensor2D;
          return Object.fromEntries(names.slice(0, -1).map((name) => [name, taught]));
        },
      };
    });
  },
});
