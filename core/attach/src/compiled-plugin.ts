import { definePlugin, EspalierError } from '@espalier/core';
import type { NamedTensors, PluginContext, StepLog } from '@espalier/core';
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
    effects: { loss: 'add', gradients: 'add', weights: 'add' },
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
      ctx.hooks.gradients.tap(refuseNone);
      ctx.hooks.afterStep.tap(({ log }) => position.addBatch(parts.listNumbers(log)));
    },
  });
}

/** As tfjs does, refuses a loss that no weight has a part in. */
function refuseNone(gradients: NamedTensors): NamedTensors {
  if (Object.keys(gradients).length > 0) return gradients;
  throw new EspalierError('attach/no-gradient', {
    problem: 'the loss has a gradient for no weight that trains, so the step would change nothing',
    fix: 'Make the loss of differentiable operations on yPred (not of dataSync() or argMax), and compile with a layer that trains.',
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
