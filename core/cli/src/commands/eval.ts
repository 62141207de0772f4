import {
  describeStage,
  loadConfig,
  source,
  stagesOf,
  stageUnderWay,
  withSession,
} from '@espalier/config';
import type { LoadedConfig, Split } from '@espalier/config';
import { EspalierError, writeJson } from '@espalier/core';
import type { Session } from '@espalier/core';
import { columns, short } from '../columns.js';
import { loadCheckpoint } from '../resume.js';

/** Options of `espalier eval`. */
export interface EvalOptions {
  readonly set: readonly string[];
  /** A file or folder; default: the configuration's. */
  readonly checkpoint?: string;
  /** Differences to the checkpoint's run that are accepted. */
  readonly allowMismatch?: readonly string[];
  /** Which data; default: the test data, else the validation data. */
  readonly split?: Split;
  readonly json?: boolean;
}

/** Prints the metrics of a trained model. */
export async function evaluate(path: string, options: EvalOptions): Promise<void> {
  const loaded = await loadConfig(path, options.set);
  const split = options.split ?? (loaded.settings.data.test ? 'test' : 'validation');
  const data = await source(loaded, split);
  if (!data) throw noData(split);
  const metrics = await withSession(loaded, async (session) => {
    await loadCheckpoint(session, loaded, {
      path: options.checkpoint,
      allowMismatch: options.allowMismatch,
    });
    tellUnfinished(session, loaded);
    return session.evaluate(data);
  });
  const rows = Object.entries(metrics).map(([name, value]) => [name, short(value)]);
  const text = options.json ? writeJson({ split, metrics }) : `${split}\n${columns(rows)}`;
  process.stdout.write(`${text}\n`);
}

/** Of a run in stages that is not over, figures are not those of its result. */
function tellUnfinished(session: Session, loaded: LoadedConfig): void {
  if (!loaded.settings.stages) return;
  const stages = stagesOf(loaded);
  const index = stageUnderWay(session, stages);
  if (index === undefined) return;
  const where = `stage ${index + 1} of ${stages.length}, ${describeStage(stages[index]!)}`;
  process.stderr.write(`The run is not over; it is in ${where}.\n`);
}

function noData(split: Split): EspalierError {
  return new EspalierError('cli/no-data', {
    problem: `the configuration has no ${split} data`,
    fix: `Add data: { ${split}: … }, or choose others with --split.`,
  });
}
