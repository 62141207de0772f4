import type { EpochResult, Inspection } from '@espalier/core';
import type { Estimate } from '@espalier/report';
import type { Assessment } from './assess.js';

/** One run, over and done: plain data. */
export interface RunResult extends Assessment {
  readonly recipe: string;
  readonly seed: number;
  readonly history: readonly EpochResult[];
  readonly seconds: number;
  readonly telemetryFile: string;
  readonly manifest: Inspection['manifest'];
}

/** The runs of each recipe, one per seed. */
export type Results = ReadonlyMap<string, readonly RunResult[]>;

/** Groups runs by recipe, in the order of their first appearance. */
export function byRecipe(runs: readonly RunResult[]): Results {
  const grouped = new Map<string, RunResult[]>();
  for (const run of runs) grouped.set(run.recipe, [...(grouped.get(run.recipe) ?? []), run]);
  return grouped;
}

/** The mean over seeds, with the lowest and the highest where there are several. */
export function overSeeds(values: readonly number[]): Estimate | undefined {
  if (values.length === 0) return undefined;
  const value = values.reduce((a, b) => a + b, 0) / values.length;
  return values.length === 1
    ? { value }
    : { value, low: Math.min(...values), high: Math.max(...values) };
}
