import { markdownText, table, toCsv, toMarkdown } from '@espalier/report';
import type { Cell } from '@espalier/report';
import type { Findings, MetricFinding, RowFindings, Split } from '../analysis/findings.js';
import { TRAINING } from '../store/read-metric.js';
import { hasResult } from '../store/records.js';
import { contrastTable } from './contrast-tables.js';
import { describeMethod, describeComparison } from './introduction.js';
import { studyTable } from './summary-table.js';
import { listWarnings } from './warnings.js';

/**
 * A study's table as Markdown, with what was compared and how above it, and warnings below.
 *
 * @example
 * writeFileSync('study.md', studyMarkdown(await analyse(planner, rows, store)));
 */
export function studyMarkdown(findings: Findings): string {
  const summary = studyTable(findings);
  const lead = [describeComparison(findings), ...describeMethod(findings)].join(' ');
  const notes = listWarnings(findings).map((each) => `**Warning.** ${markdownText(each)}`);
  const tables = [summary, ...findings.contrasts.map((each) => contrastTable(findings, each))];
  const paragraphs = [
    markdownText(lead),
    ...tables.flatMap((each) => [
      ...(each.title === undefined ? [] : [`**${markdownText(each.title)}**`]),
      toMarkdown({ ...each, title: undefined }),
      markdownText(each.caption ?? ''),
    ]),
  ];
  return [...paragraphs, ...notes].map((each) => `${each.trimEnd()}\n`).join('\n');
}

/**
 * All of a study's numbers as CSV, at full precision: one line for each row, seed, metric and split, with the
 * costs of the trial; of findings on test data, the validation data's lines too. A trial without a value has an
 * empty one, and why in `failure`.
 *
 * @example
 * writeFileSync('study.csv', studyCsv(await analyse(planner, rows, store)));
 */
export function studyCsv(findings: Findings): string {
  const names = ['row', 'seed', 'metric', 'split', 'value', ...COSTS, 'failure'];
  return toCsv(
    table({
      columns: names.map((name) => ({ key: name, label: name })),
      rows: findings.rows.flatMap((row) => lines(row, findings)),
    }),
  );
}

const COSTS = ['seconds', 'cpuSeconds', 'peakMemory', 'modelBytes', 'macs'] as const;

function lines({ row, trials, metrics }: RowFindings, { split }: Findings) {
  return [...trials].flatMap(([seed, trial]) =>
    metrics.flatMap((each) =>
      listSplits(each, split).map(([of, values]): Record<string, Cell> => ({
        row: row.name,
        seed,
        metric: each.metric.name,
        split: of,
        value: values.get(seed),
        ...(trial && hasResult(trial) ? trial.result.cost : {}),
        failure: trial && 'failure' in trial ? trial.failure.code : undefined,
      })),
    ),
  );
}

/** Which data a metric was computed on, with its values there. */
function listSplits({ metric, values, validation }: MetricFinding, split: Split) {
  if (metric.name.startsWith(TRAINING)) return [['training', values]] as const;
  const found = ['validation', validation] as const;
  return split === 'test' ? ([found, ['test', values]] as const) : [found];
}
