import type { Metrics, TrialResult } from './records.js';

/** Marks a metric of training: `train/loss`. */
export const TRAINING = 'train/';

/** How core marks the metrics of the validation data in the history. */
const VALIDATION = 'val/';

/**
 * A metric of a finished trial: of the evaluated split, or for `train/…` what training gave in the last epoch.
 *
 * @param evaluated Of the split; default: the validation data.
 */
export function readMetric(
  { metrics, history }: TrialResult,
  name: string,
  evaluated: Metrics | undefined = metrics,
): number | undefined {
  if (!name.startsWith(TRAINING)) return evaluated[name];
  return history.at(-1)?.metrics[name.slice(TRAINING.length)];
}

/** All that a study may report of a trial. */
export function listMetricNames({ metrics, history }: TrialResult): readonly string[] {
  const trained = Object.keys(history.at(-1)?.metrics ?? {});
  const own = trained.filter((name) => !name.startsWith(VALIDATION));
  return [...Object.keys(metrics), ...own.map((name) => `${TRAINING}${name}`)];
}
