import type { LoadedConfig } from '@espalier/config';
import { EspalierError } from '@espalier/core';
import type { PlannedRow } from './planned-row.js';
import { stretchStages } from './stretch-stages.js';

/** Settings that give a row so many epochs; its stages and the schedules of its optimizer change in proportion. */
export function changeLength({ name, config, budget }: PlannedRow, epochs: number): string[] {
  if (epochs === budget.epochs) return [];
  const schedules = stretchStages(config.settings.optimizer.options, epochs / budget.epochs);
  return [...setEpochs(name, config, epochs), ...schedules];
}

function setEpochs(row: string, { settings: { stages } }: LoadedConfig, epochs: number): string[] {
  if (!stages) return [`epochs=${epochs}`];
  const before = stages.reduce((sum, stage) => sum + (stage.epochs ?? 0), 0);
  let [was, done] = [0, 0];
  return stages.flatMap((stage, i) => {
    if (stage.epochs === undefined) return [];
    was += stage.epochs;
    const until = Math.round((epochs * was) / before);
    const own = until - done;
    if (own === 0) throw noEpochLeft(row, i, epochs);
    done = until;
    return [`stages.${i}.epochs=${own}`];
  });
}

function noEpochLeft(row: string, stage: number, epochs: number): EspalierError {
  return new EspalierError('study/tuning-epochs', {
    problem: `row '${row}': in ${epochs} epochs there is none left for stages.${stage}`,
    fix: 'Let tune have more epochs, or a larger share.',
  });
}
