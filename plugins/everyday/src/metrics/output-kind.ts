import { EspalierError, Network, suggest } from '@espalier/core';
import type { PluginContext } from '@espalier/core';

/**
 * What targets of an output say: one of several `classes`, yes or no (`binary`, one unit), or yes or no of each
 * of several `labels`.
 */
export interface OutputKind {
  readonly output: string;
  readonly kind: 'classes' | 'binary' | 'labels';
  /** Classes, two for `binary`; labels. */
  readonly classes: number;
  /** Whether outputs are logits; else probabilities. */
  readonly logits: boolean;
  /** What stands before the names of its metrics. */
  readonly prefix: string;
}

type Context = Pick<PluginContext, 'losses' | 'model'>;

/**
 * The output that is measured: the one named, or the only one.
 *
 * @throws EspalierError `metrics/output`, `metrics/no-classes`.
 */
export function findOutputKind(ctx: Context, wanted: string | undefined): OutputKind {
  const { losses, model } = ctx;
  const names = Object.keys(losses);
  const output = wanted ?? (names.length === 1 ? names[0]! : undefined);
  if (output === undefined || !losses[output]) throw outputError(wanted, names);
  const units = model.outputShapes[output]!.at(-1)!;
  const { classIds, targets, from } = losses[output];
  const { gives } = new Network(model.layersModel).heads[output]!;
  const logits = (from ?? gives) !== 'probabilities';
  const prefix = names.length === 1 ? '' : `${output}/`;
  if (classIds) return { output, kind: 'classes', classes: units, logits, prefix };
  if (targets !== 'probabilities') throw noClassesError(ctx, output);
  if (units === 1) return { output, kind: 'binary', classes: 2, logits, prefix };
  return { output, kind: 'labels', classes: units, logits, prefix };
}

function outputError(wanted: string | undefined, names: readonly string[]): EspalierError {
  return new EspalierError('metrics/output', {
    problem:
      wanted === undefined
        ? 'several outputs have a loss, and none is named'
        : `there is no loss for an output '${wanted}'`,
    received: wanted ?? names,
    fix:
      wanted === undefined
        ? "Name one with the option output; for another one add metrics({ … }, { id: 'metrics-2' })."
        : suggest(wanted, names),
  });
}

function noClassesError({ losses }: Context, output: string): EspalierError {
  return new EspalierError('metrics/no-classes', {
    problem: `these metrics are for classes, and output '${output}' is trained by ${losses[output]!.name}`,
    fix: "Train classes with crossEntropy() or binaryCrossEntropy(); a loss of your own says classIds: true, or targets: 'probabilities'.",
  });
}
