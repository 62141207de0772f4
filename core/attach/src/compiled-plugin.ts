import { definePlugin } from '@espalier/core';
import type { PluginContext, StepLog } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import type { CompiledLoss } from './compiled-losses.js';
import type { CompiledModel } from './compiled-model.js';
import type { FitPosition } from './fit-position.js';

/** Id of the plugin that attach adds. */
export const COMPILED = 'compiled-model';

/** What the plugin reads. */
export interface CompiledParts {
  /** Whether `fit` and its like of the model drive the run. */
  readonly byMethods: boolean;
  readonly model: CompiledModel;
  readonly losses: readonly CompiledLoss[];
  readonly position: FitPosition;
  listNumbers(log: StepLog): readonly number[];
}

/** Computes the metrics that were compiled, on the outputs of the training step, and keeps the position. */
export function makeCompiledPlugin(
  parts: CompiledParts,
  onApply: (assign: PluginContext['assign']) => void,
) {
  const { position } = parts;
  return definePlugin({
    id: COMPILED,
    version: '0.1.0',
    options: z.strictObject({}),
    effects: { loss: 'add', weights: 'add' },
    apply(ctx) {
      onApply((values) => ctx.assign(values));
      ctx.keepState({
        version: 1,
        save: () => position.save(),
        load: (state) => position.load(state),
      });
      const metrics = listMetrics(parts.model);
      if (metrics.length > 0) {
        ctx.hooks.loss.tap(({ outputs, batch, metric, nested }) => {
          if (nested) return;
          for (const { label, compute, index } of metrics) {
            const { output, activate, toMetric } = parts.losses[index]!;
            const values = compute(toMetric(batch.targets[output]!), activate(outputs[output]!));
            metric(label, tf.mean(values));
          }
        });
      }
      if (!parts.byMethods) return;
      ctx.hooks.afterStep.tap(({ log }) => position.addBatch(parts.listNumbers(log)));
    },
  });
}

/** Numbers in the order of tfjs's labels: the total, of several outputs the loss of each, the metrics. */
export function makeNumberLister(
  model: CompiledModel,
  losses: readonly CompiledLoss[],
): CompiledParts['listNumbers'] {
  const terms = losses.length > 1 ? losses.map(findTerm) : [];
  return ({ total, terms: values, metrics }) => [
    total,
    ...terms.map((term) => values[term]!),
    ...listMetrics(model).map(({ label }) => metrics[label]!),
  ];
}

function findTerm({ output, loss }: CompiledLoss): string {
  return `task/${output}/${loss.name}`;
}

/** Metrics that were compiled; of several outputs tfjs lists their losses first. */
function listMetrics(model: CompiledModel) {
  const labels = model.getDedupedMetricsNames().slice(1);
  const outputs = model.lossFunctions.length;
  return model.metricsTensors
    .map(([compute, index], i) => ({ label: labels[i]!, compute, index }))
    .slice(outputs > 1 ? outputs : 0);
}
