import { EspalierError, suggest } from '@espalier/core';
import type { LoadedStudy, ReportedMetric } from './load-study.js';
import { designRows, EQUAL_COMPUTE } from './rows.js';
import type { CheckedStudy } from './schema.js';

/** A comparison of two rows in one metric. */
export interface PlannedContrast {
  readonly of: string;
  readonly minus: string;
  readonly metric: string;
}

/** Comparisons whose p values are corrected together. */
export interface ContrastFamily {
  readonly name: string;
  readonly contrasts: readonly PlannedContrast[];
}

/** The families of a study, a contrast for each metric; none where the study names none. */
export function listContrasts({ contrasts, primary }: CheckedStudy): readonly ContrastFamily[] {
  return Object.entries(contrasts).map(([name, family]) => ({
    name,
    contrasts: family.flatMap(({ of, minus, metric = [primary.name] }) =>
      metric.map((each) => ({ of, minus, metric: each })),
    ),
  }));
}

/** The smallest effect of interest by metric. */
export function listSmallestEffects({
  smallestEffect,
  primary,
}: CheckedStudy): Readonly<Record<string, number>> {
  if (smallestEffect === undefined) return {};
  return typeof smallestEffect === 'number' ? { [primary.name]: smallestEffect } : smallestEffect;
}

/** @throws EspalierError `study/contrast` for a row or metric that the study does not have. */
export function checkContrasts(study: LoadedStudy): void {
  for (const metric of Object.keys(study.smallestEffects)) {
    checkMetric('smallestEffect', metric, study.metrics);
  }
  if (study.contrasts.length === 0) return;
  const extra = study.settings.equalCompute === false ? [] : [EQUAL_COMPUTE];
  const rows = [...[...designRows(study)].map(({ name }) => name), ...extra];
  for (const { name, contrasts } of study.contrasts) {
    const owner = `contrasts, family '${name}'`;
    for (const { of, minus, metric } of contrasts) {
      const unknown = [of, minus].find((row) => !rows.includes(row));
      if (unknown !== undefined) {
        const fix = suggest(unknown, rows);
        throw contrastError(`${owner}: there is no row '${unknown}'`, fix);
      }
      if (of === minus) throw contrastError(`${owner} has '${of}' minus itself`, 'Name two rows.');
      checkMetric(owner, metric, study.metrics);
    }
  }
}

function checkMetric(owner: string, metric: string, known: readonly ReportedMetric[]): void {
  const names = known.map(({ name }) => name);
  if (names.includes(metric)) return;
  throw contrastError(
    `${owner}: the study does not report the metric '${metric}'`,
    `${suggest(metric, names)} Or add it to metrics.`,
  );
}

function contrastError(problem: string, fix: string): EspalierError {
  return new EspalierError('study/contrast', { problem, fix });
}
