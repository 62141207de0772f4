import { loadConfig, openSource, withSession } from '@espalier/config';
import type { Split } from '@espalier/config';
import { EspalierError } from '@espalier/core';
import { print, printJson } from '../print.js';
import { loadCheckpoint } from '../resume.js';
import { alignColumns, formatNumber } from '../text-columns.js';
import { warnIfUnfinished } from '../unfinished.js';

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
  const data = await openSource(loaded, split);
  if (!data) throw missingSplit(split);
  const metrics = await withSession(loaded, async (session) => {
    await loadCheckpoint(session, loaded, {
      path: options.checkpoint,
      allowMismatch: options.allowMismatch,
    });
    warnIfUnfinished(session, loaded);
    return session.evaluate(data);
  });
  const rows = Object.entries(metrics).map(([name, value]) => [name, formatNumber(value)]);
  if (options.json) return printJson({ split, metrics }, 'metrics');
  print(`${split}\n${alignColumns(rows)}`);
}

function missingSplit(split: Split): EspalierError {
  return new EspalierError('cli/no-data', {
    problem: `the configuration has no ${split} data`,
    fix: `Add data: { ${split}: … }, or choose others with --split.`,
  });
}
