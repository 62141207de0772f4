import type { Session } from '@espalier/core';
import type { CompiledLoss } from './compiled-losses.js';
import type { CompiledModel } from './compiled-model.js';
import { isExact } from './compiled-optimizer.js';
import { COMPILED } from './compiled-plugin.js';

/** What an attached run is described from. */
export interface DescribedRun {
  readonly model: CompiledModel;
  readonly session: Session;
  readonly losses: readonly CompiledLoss[];
  /** Whether the run takes steps, so that its optimizer is used. */
  readonly steps: boolean;
}

/** What was read from `compile`, what plugins changed, and who taps which hook. */
export function describeRun({ model, session, losses, steps }: DescribedRun): string {
  const { semantics, plugins, edits, parameters, losses: fitted } = session.inspect();
  const methods = plugins.map(({ id }) => id).filter((id) => id !== COMPILED);
  const trained = parameters.filter(({ trainable }) => trainable).length;
  return [
    `semantics: ${semantics}${semantics === 'tfjs' ? ' (what LayersModel.fit computes)' : ''}`,
    `optimizer: ${steps ? describeOptimizer(model) : 'your own, outside of the run'}`,
    ...losses.map(({ output, loss, compiledAs }) => {
      const without = fitted[output]?.without;
      const how = without ? `, on the output before its ${without}` : '';
      return `loss of '${output}': ${compiledAs} as ${loss.name}${how}`;
    }),
    `metrics: ${model.getDedupedMetricsNames().slice(1).join(', ') || 'none'}`,
    `parameters that train: ${trained} of ${parameters.length}`,
    `plugins: ${methods.join(', ') || 'none'}`,
    ...edits.map(({ plugin, phase }) => `model changed by '${plugin}' (${phase})`),
    '',
    session.explain(),
  ].join('\n');
}

function describeOptimizer({ optimizer }: CompiledModel): string {
  const name = optimizer.getClassName();
  return isExact(optimizer)
    ? `${name}, exactly; its learning rate is read at each step`
    : `${name}, by its own applyGradients; a checkpoint cannot resume it`;
}
