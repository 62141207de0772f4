import { EspalierError } from '@espalier/core';
import type { Session, Stage } from '@espalier/core';
import type { LoadedConfig } from './load-config.js';

/**
 * The stages of a configuration; `epochs: 3` is short for one of three epochs. A plugin that is
 * removed by `false` is left out of the transforms that name it.
 *
 * @throws EspalierError `config/epochs` where it has neither epochs nor stages.
 */
export function listStages(loaded: LoadedConfig): readonly Stage[] {
  const { epochs, stages } = loaded.settings;
  if (epochs !== undefined) return [{ epochs }];
  if (stages) return stages.map((stage) => dropRemovedPlugins(stage as Stage, loaded));
  throw new EspalierError('config/epochs', {
    problem: 'the configuration has neither epochs nor stages',
    fix: "Add epochs: 10 (or --epochs 10), or stages: [{ epochs: 10 }, { transform: ['quantizer'] }].",
  });
}

function dropRemovedPlugins(stage: Stage, { written, overrides }: LoadedConfig): Stage {
  if (!('transform' in stage) || stage.transform === true) return stage;
  const isRemoved = (id: string) => (overrides[id] ?? written.plugins?.[id]) === false;
  return { transform: stage.transform.filter((id) => !isRemoved(id)) };
}

/** Epochs of all stages together. */
export function countEpochs(stages: readonly Stage[]): number {
  return stages.reduce((sum, stage) => sum + ('epochs' in stage ? stage.epochs : 0), 0);
}

/** A short text for a stage: `3 epochs`, `transform by block-low-rank`. */
export function describeStage(stage: Stage): string {
  if ('epochs' in stage) return `${stage.epochs} epoch${stage.epochs === 1 ? '' : 's'}`;
  const { transform } = stage;
  if (transform === true) return 'transform by every plugin that has one';
  return `transform by ${transform.length > 0 ? transform.join(', ') : 'no plugin'}`;
}

/** The index of the current stage of a run; undefined when all are done. */
export function findCurrentStage(
  { progress, clock, stopReason }: Session,
  stages: readonly Stage[],
): number | undefined {
  const index = progress.done.length;
  const stage = stages[index];
  if (stage === undefined) return undefined;
  const isLast = 'epochs' in stage && index === stages.length - 1;
  const isDone = isLast && clock.epoch >= progress.from + stage.epochs;
  return isDone || (isLast && stopReason !== undefined) ? undefined : index;
}
