import { definePlugin } from '@espalier/core';
import { z } from 'zod';
import { isAnotherModel } from './another-model.js';
import { Best, findDirection, monitorOptions, monitorOrder, readMonitor } from './monitor.js';

/**
 * Stops a run when a number of the epoch has not improved by more than `minDelta` for `patience` epochs, as
 * `EarlyStopping` of Keras does: `fit` returns `{ status: 'stopped', reason }`. Where the structure of the
 * model changes (a transform), it begins anew.
 *
 * @throws EspalierError at setup `monitor/mode`; at the end of the first epoch `monitor/metric`.
 * @example
 * const plugins = [earlyStopping({ monitor: 'val/loss', patience: 5 }), bestWeights()];
 */
export const earlyStopping = definePlugin({
  id: 'early-stopping',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-everyday#earlyStopping',
  options: z.strictObject({
    ...monitorOptions,
    patience: z.int().positive().default(3),
    baseline: z.number().optional(),
    startFromEpoch: z.int().nonnegative().default(0),
  }),
  order: monitorOrder,
  apply(ctx, { monitor, mode, minDelta, patience, baseline, startFromEpoch }) {
    const best = new Best(findDirection(monitor, mode), minDelta);
    let waited = 0;
    const begin = () => {
      best.value = undefined;
      waited = 0;
    };
    ctx.hooks.epochEnd.tap(({ clock, metrics }) => {
      const value = readMonitor(metrics, monitor);
      if (clock.epoch < startFromEpoch) return;
      waited += 1;
      if (best.take(value)) {
        if (baseline === undefined || best.isBetter(value, baseline)) waited = 0;
      } else if (waited >= patience) {
        ctx.stop(describeStop({ monitor, value, best: best.value, waited, minDelta }));
        waited = 0;
      }
    });
    ctx.hooks.structureChange.tap((change) => isAnotherModel(change) && begin());
    ctx.keepState({
      version: 1,
      save: () => ({ json: { best: best.value ?? null, waited } }),
      load: ({ json }) => {
        const saved = json as { best: number | null; waited: number };
        best.value = saved.best ?? undefined;
        waited = saved.waited;
      },
    });
  },
});

interface Stop {
  readonly monitor: string;
  readonly value: number;
  readonly best: number | undefined;
  readonly waited: number;
  readonly minDelta: number;
}

function describeStop({ monitor, value, best, waited, minDelta }: Stop): string {
  const was = best === undefined ? 'it never was a number' : `best ${best}, last ${value}`;
  const by = minDelta > 0 ? ` by more than ${minDelta}` : '';
  return `${monitor} has not improved${by} for ${waited} epoch${waited === 1 ? '' : 's'}: ${was}`;
}
