import { loadConfig, source, withSession } from '@espalier/config';
import type { Split } from '@espalier/config';
import { EspalierError, writeJson } from '@espalier/core';
import { columns, short } from '../columns.js';
import { loadCheckpoint } from '../resume.js';
import { tellUnfinished } from '../unfinished.js';

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

function noData(split: Split): EspalierError {
  return new EspalierError('cli/no-data', {
    problem: `the configuration has no ${split} data`,
    fix: `Add data: { ${split}: … }, or choose others with --split.`,
  });
}
