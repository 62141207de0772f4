import { EspalierError, suggest } from '@espalier/core';
import type { EpochResult } from '@espalier/core';
import { z } from 'zod';

/** Whether a smaller or a larger value is the better one. */
export type Direction = 'min' | 'max';

/** Options of plugins that watch a number of the epoch. */
export const monitorOptions = {
  monitor: z.string().default('val/loss'),
  mode: z.enum(['min', 'max']).optional(),
  minDelta: z.number().nonnegative().default(0),
};

/** Taps that add numbers to the epoch come first. */
export const monitorOrder = { after: ['training-metrics'], optional: ['training-metrics'] };

const SMALLER = /(^|\/)loss(\/|$)/;
const LARGER = /(^|\/)(accuracy|acc|f1|precision|recall|auroc|top-\d+)(\/|$)/;

/**
 * Which way is better: as told, or as the name of a known metric says.
 *
 * @throws EspalierError `monitor/mode`.
 */
export function findDirection(monitor: string, mode: Direction | undefined): Direction {
  if (mode) return mode;
  if (SMALLER.test(monitor)) return 'min';
  if (LARGER.test(monitor)) return 'max';
  throw new EspalierError('monitor/mode', {
    problem: `the name '${monitor}' does not say whether less or more of it is better`,
    fix: monitor.startsWith('val_')
      ? 'Numbers of the validation have a slash here: val/loss, val/accuracy.'
      : "Add mode: 'min' or mode: 'max'.",
  });
}

/**
 * The number that is watched.
 *
 * @throws EspalierError `monitor/metric`, with the numbers that the epoch has.
 */
export function readMonitor(metrics: EpochResult['metrics'], monitor: string): number {
  const value = metrics[monitor];
  if (value !== undefined) return value;
  const known = Object.keys(metrics);
  const unvalidated = monitor.startsWith('val/') && !known.some((name) => name.startsWith('val/'));
  throw new EspalierError('monitor/metric', {
    problem: `the epoch has no number '${monitor}'`,
    received: known,
    fix: unvalidated
      ? 'Validate each epoch: validationSplit or validationData of model.fit; validation of createSession, without validateEvery. Or watch a number of the training data.'
      : suggest(monitor, known),
  });
}

/** The best value so far. */
export class Best {
  value: number | undefined;

  constructor(
    private readonly direction: Direction,
    private readonly minDelta: number,
  ) {}

  /** Whether a value is better than another one by more than `minDelta`; what is not finite never is. */
  isBetter(value: number, than: number | undefined): boolean {
    if (!Number.isFinite(value)) return false;
    if (than === undefined) return true;
    const gain = this.direction === 'min' ? than - value : value - than;
    return gain > this.minDelta;
  }

  /** Takes over a value that is better. */
  take(value: number): boolean {
    const better = this.isBetter(value, this.value);
    if (better) this.value = value;
    return better;
  }
}
