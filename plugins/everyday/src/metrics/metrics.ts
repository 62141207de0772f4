import { definePlugin } from '@espalier/core';
import { z } from 'zod';
import { checkWanted, claimMetrics, COMPUTED, metricsOptions } from './options.js';
import { findOutputKind } from './output-kind.js';
import { readRows } from './read-rows.js';
import { Tally } from './tally.js';

/**
 * Metrics of classes in each evaluation, over all of its examples: F1, precision and recall, the area under the
 * ROC curve (of several classes: each against the rest, their mean), top-k accuracy, and the confusion matrix,
 * which is the `data` of the telemetry event `report`. Weights of examples count; so a time step counts as much
 * as it does in the loss.
 *
 * @throws EspalierError at setup: `metrics/output`, `metrics/no-classes`, `metrics/kind`.
 * @example
 * const plugins = [metrics({ compute: ['f1', 'auroc'], topK: [5] })]; // val/f1, val/auroc, val/top-5
 */
export const metrics = definePlugin({
  id: 'metrics',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-everyday#metrics',
  options: z.strictObject({
    compute: z.array(z.enum(COMPUTED)).default(['f1']),
    ...metricsOptions,
  }),
  stateless: true,
  apply(ctx, { output, ...wanted }) {
    const measured = findOutputKind(ctx, output);
    checkWanted(wanted, measured);
    claimMetrics(ctx, wanted, { of: 'evaluation', output: measured.output });
    const { layout } = new Tally(measured, wanted);
    const compute = (rows: Float32Array) => {
      const tally = new Tally(measured, wanted);
      tally.add(rows);
      const { confusion: matrix } = tally;
      if (matrix) ctx.report('confusion', { output: measured.output, of: 'evaluation', matrix });
      return tally.compute();
    };
    ctx.hooks.evaluate.tap((seen) => {
      const rows = readRows(seen, measured, layout);
      seen.gather('rows', { rows }, (all) => compute(all['rows']!));
    });
  },
});
