import { definePlugin } from '@espalier/core';
import { z } from 'zod';
import { isAnotherModel } from './another-model.js';
import { Best, findDirection, monitorOptions, monitorOrder, readMonitor } from './monitor.js';

/**
 * Multiplies the learning rate, of whatever optimizer, by `factor` when a number of the epoch has not improved
 * for `patience` epochs, as `ReduceLROnPlateau` of Keras does: it multiplies the optimizer's updates. A
 * schedule of the optimizer goes on below it. The telemetry event `report` names the new factor.
 *
 * @throws EspalierError at setup `monitor/mode`; at the end of the first epoch `monitor/metric`.
 * @example
 * const plugins = [reduceOnPlateau({ factor: 0.5, patience: 2, minFactor: 0.01 })];
 */
export const reduceOnPlateau = definePlugin({
  id: 'reduce-on-plateau',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-everyday#reduceOnPlateau',
  options: z.strictObject({
    ...monitorOptions,
    factor: z.number().positive().lt(1, 'must be below 1, or nothing is reduced').default(0.1),
    patience: z.int().positive().default(5),
    cooldown: z.int().nonnegative().default(0),
    minFactor: z.number().positive().max(1).default(1e-3),
  }),
  effects: { updates: 'modify' },
  order: monitorOrder,
  apply(ctx, { monitor, mode, minDelta, factor, patience, cooldown, minFactor }) {
    const best = new Best(findDirection(monitor, mode), minDelta);
    let [reducedTo, waited, cooling] = [1, 0, 0];
    const reduce = (epoch: number) => {
      [waited, cooling] = [0, cooldown];
      if (reducedTo <= minFactor) return;
      reducedTo = Math.max(reducedTo * factor, minFactor);
      ctx.scaleUpdates(reducedTo);
      ctx.report('learning-rate', { factor: reducedTo, epoch, monitor });
    };
    ctx.hooks.epochEnd.tap(({ clock: { epoch }, metrics }) => {
      const value = readMonitor(metrics, monitor);
      cooling = Math.max(cooling - 1, 0);
      waited = best.take(value) || cooling > 0 ? 0 : waited + 1;
      if (waited >= patience) reduce(epoch);
    });
    ctx.hooks.structureChange.tap((change) => {
      if (isAnotherModel(change)) [best.value, waited] = [undefined, 0];
    });
    ctx.keepState({
      version: 1,
      save: () => ({ json: { best: best.value ?? null, reducedTo, waited, cooling } }),
      load: ({ json }) => {
        const saved = json as Record<'reducedTo' | 'waited' | 'cooling', number>;
        ({ reducedTo, waited, cooling } = saved);
        best.value = (json as { best: number | null }).best ?? undefined;
        ctx.scaleUpdates(reducedTo);
      },
    });
  },
});
