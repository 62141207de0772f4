import { crossEntropy, definePlugin, EXITS } from '@espalier/core';
import * as z from 'zod';

/** Reports the cross-entropy of each auxiliary exit in evaluations, `loss/<exit>`. */
export const exitLosses = definePlugin({
  id: 'exit-losses',
  version: '1.0.0',
  options: z.strictObject({}),
  stateless: true,
  apply(ctx) {
    const { perExample } = crossEntropy();
    ctx.needs(EXITS);
    ctx.hooks.evaluate.tap(({ outputs, targets, metric }) => {
      const { names } = ctx.get(EXITS);
      const labels = targets[names.at(-1)!]!;
      for (const exit of names.slice(0, -1))
        metric(`loss/${exit}`, perExample(outputs[exit]!, labels));
    });
  },
});
