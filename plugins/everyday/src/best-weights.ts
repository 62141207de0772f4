import { definePlugin } from '@espalier/core';
import { z } from 'zod';
import { isAnotherModel } from './another-model.js';
import { KeptWeights } from './kept-weights.js';
import { Best, findDirection, monitorOptions, monitorOrder, readMonitor } from './monitor.js';

/** The epoch whose weights are kept, from 0, and its number. */
interface Kept {
  readonly epoch: number;
  readonly value: number;
}

/**
 * Keeps the weights (moving statistics included) of the epoch with the best number, and puts them back when a
 * fit is over, however it ends. Checkpoints hold them. A later fit goes on from them. The telemetry event
 * `report` of `best-weights` names the epoch. Where the structure of the model changes, it begins anew.
 *
 * @throws EspalierError at setup `monitor/mode`; at the end of the first epoch `monitor/metric`.
 * @example
 * const plugins = [bestWeights({ monitor: 'val/accuracy' })];
 */
export const bestWeights = definePlugin({
  id: 'best-weights',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-everyday#bestWeights',
  options: z.strictObject({ ...monitorOptions, restore: z.boolean().default(true) }),
  effects: { 'weights:*': 'modify' },
  order: {
    after: [...monitorOrder.after, 'ema'],
    optional: [...monitorOrder.optional, 'ema'],
  },
  apply(ctx, { monitor, mode, minDelta, restore }) {
    const best = new Best(findDirection(monitor, mode), minDelta);
    const weights = new KeptWeights();
    let kept: Kept | undefined;
    /** Whether a step was made since the weights were put back. */
    let trained = false;
    ctx.hooks.afterApply.tap(() => void (trained = true));
    ctx.hooks.epochEnd.tap(({ clock: { epoch }, metrics }) => {
      const value = readMonitor(metrics, monitor);
      if (!best.take(value)) return;
      kept = { epoch, value };
      weights.replace(ctx.parameters({ evaluated: true }));
    });
    ctx.hooks.structureChange.tap((change) => {
      if (!isAnotherModel(change)) return;
      [best.value, kept] = [undefined, undefined];
      weights.clear();
    });
    ctx.hooks.finish.tap(({ status }) => {
      if (!restore || !kept || !trained) return;
      ctx.assign(weights.tensors);
      trained = false;
      ctx.report('restored', { ...kept, monitor, status });
    });
    ctx.keepState({
      version: 1,
      save: () => ({ json: { kept: kept ?? null, trained }, tensors: weights.tensors }),
      load: ({ json, tensors = {} }) => {
        const saved = json as { kept: Kept | null; trained: boolean };
        kept = saved.kept ?? undefined;
        [best.value, trained] = [kept?.value, saved.trained];
        weights.replace(tensors);
      },
    });
    ctx.onTeardown(() => weights.clear());
  },
});
