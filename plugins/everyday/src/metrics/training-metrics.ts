import { definePlugin } from '@espalier/core';
import type { Batch } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { checkWanted, claimMetrics, COMPUTED, metricsOptions } from './options.js';
import { findOutputKind } from './output-kind.js';
import { readRows } from './read-rows.js';
import { Tally } from './tally.js';

/**
 * The same metrics, and accuracy, of the training data: over all batches of an epoch as they were trained on,
 * while the weights changed, augmented and with dropout. They are numbers of the epoch: `accuracy`, `f1`.
 * Steps on batches of one's own (`session.step`) do not count. It reads a small tensor in each step.
 *
 * @throws EspalierError at setup: `metrics/output`, `metrics/no-classes`, `metrics/kind`.
 * @example
 * const plugins = [trainingMetrics({ compute: ['accuracy', 'f1'] })];
 */
export const trainingMetrics = definePlugin({
  id: 'training-metrics',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-everyday#trainingMetrics',
  options: z.strictObject({
    compute: z.array(z.enum(['accuracy', ...COMPUTED])).default(['accuracy']),
    ...metricsOptions,
  }),
  effects: { loss: 'add' },
  apply(ctx, { output, ...wanted }) {
    const measured = findOutputKind(ctx, output);
    checkWanted(wanted, measured);
    claimMetrics(ctx, wanted, { of: 'training', output: measured.output });
    const tally = new Tally(measured, wanted);
    /** By batch: its terms may take several passes. */
    const unread = new Map<Batch['key'], Tensor>();
    let batches = 0;
    const drop = () => {
      tf.dispose([...unread.values()]);
      unread.clear();
    };
    ctx.hooks.beforeStep.tap(() => {
      drop();
      batches = ctx.clock.batchesInEpoch;
    });
    ctx.hooks.loss.tap((seen) => {
      const { key } = seen.batch;
      if (seen.nested || !seen.training || unread.has(key)) return;
      unread.set(key, tf.keep(tf.tidy(() => readRows(seen, measured, tally.layout))));
    });
    ctx.hooks.afterStep.tap(async () => {
      const ofEpoch = ctx.clock.batchesInEpoch > batches;
      const rows = await Promise.all([...unread.values()].map((each) => each.data()));
      drop();
      if (ofEpoch) rows.forEach((each) => tally.add(each));
    });
    ctx.hooks.epochEnd.tap(({ metric }) => {
      Object.entries(tally.compute()).forEach(([name, value]) => metric(name, value));
      const { confusion: matrix } = tally;
      if (matrix) ctx.report('confusion', { output: measured.output, of: 'training', matrix });
      tally.reset();
    });
    ctx.keepState({
      version: 1,
      save: () => ({ json: tally.data }),
      load: ({ json }) => tally.restore(json),
    });
    ctx.onTeardown(drop);
  },
});
