import { writeJson } from '@espalier/core';
import type { Findings } from '../analysis/findings.js';

/**
 * A study's findings as JSON, to make tables of one's own from: rows with the values of each metric by seed,
 * means, intervals and comparisons; contrasts, costs, tuning, where trials ran. Numbers are exact and
 * in the metric's own unit: an accuracy is from 0 to 1.
 *
 * @example
 * const { rows, contrasts } = JSON.parse(readFileSync('results.json', 'utf8'));
 */
export function studyJson(findings: Findings): string {
  const { rows, contrasts } = findings;
  const names = rows[0]!.metrics.map(({ metric }) => metric);
  const data = {
    ...findings,
    manifest: undefined,
    metrics: names,
    rows: rows.map(({ row, metrics, costs }) => ({
      name: row.name,
      kind: row.kind,
      sets: row.sets,
      changes: row.diff,
      budget: row.budget,
      metrics: Object.fromEntries(
        metrics.map(({ metric, values, validation, summary, comparison }) => [
          metric.name,
          {
            values: Object.fromEntries(values),
            validation: Object.fromEntries(validation),
            summary,
            comparison,
          },
        ]),
      ),
      costs: Object.fromEntries(costs.map(({ cost, ...each }) => [cost, each])),
    })),
    contrasts: contrasts.map(({ name, contrasts: each }) => ({
      name,
      contrasts: each.map((contrast) => ({ ...contrast, metric: names[contrast.metric]!.name })),
    })),
  };
  return `${writeJson(data, 'findings', 2)}\n`;
}
