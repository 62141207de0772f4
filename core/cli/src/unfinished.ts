import { describeStage, listStages, findCurrentStage } from '@espalier/config';
import type { LoadedConfig } from '@espalier/config';
import type { Session } from '@espalier/core';
import { printAside } from './print.js';

/** Of a run in stages that is not over, figures and model are not those of its result. */
export function warnIfUnfinished(session: Session, loaded: LoadedConfig): void {
  if (!loaded.settings.stages) return;
  const stages = listStages(loaded);
  const index = findCurrentStage(session, stages);
  if (index === undefined) return;
  const where = `stage ${index + 1} of ${stages.length}, ${describeStage(stages[index]!)}`;
  printAside(`The run is not over; it is in ${where}.`);
}
