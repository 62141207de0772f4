/**
 * What the study found, exit by exit, and what its networks gain by leaving early:
 * `npm run build && node examples/dist/metadistiller/assess.js`, after `espalier study report … --test`.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { useBackend } from '@espalier/backend';
import { EspalierError } from '@espalier/core';
import { forestPlot, linePlot, renderReport, table, toSvg, toText } from '@espalier/report';
import type { Estimate } from '@espalier/report';
import { analyse, loadStudy, pairedDifference, Planner, StudyStore } from '@espalier/study';
import type { Findings, MetricFinding, PlannedRow, RowFindings } from '@espalier/study';
import { machineLine } from '../machine.js';
import { exitTimes } from './exit-times.js';

const METRICS: Readonly<Record<string, string>> = {
  'accuracy/exit_1': 'exit 1',
  'accuracy/exit_2': 'exit 2',
  accuracy: 'exit 3',
  'accuracy/ensemble': 'ensemble',
};
const METHOD = 'MetaDistiller';
const OTHERS = ['deeply supervised', 'BYOT', 'generator, no meta-learning'];

const study = await loadStudy('examples/metadistiller/study.ts');
const findings = await testFindings();
const withExits = findings.rows.filter((row) => metricOf(row, 'accuracy/exit_1').summary);
const ids = withExits.map(({ row, trials }) => {
  const some = findings.seeds.slice(0, 3).map((seed) => trials.get(seed)!.id);
  return [row.name, some] as const;
});
const times = await exitTimes(study.dir, new Map(ids));

const percent = { style: 'percent', digits: 1 } as const;
const points = { style: 'fixed', digits: 2 } as const;
const accuracies = table({
  title: `Test accuracy, ${findings.seeds.length} seeds`,
  columns: [
    { key: 'row', label: 'row' },
    ...Object.values(METRICS).map((label) => ({
      key: label,
      label,
      format: { ...percent, digits: 2 },
    })),
    { key: 'seconds', label: 'seconds', format: { style: 'fixed', digits: 0 } as const },
    { key: 'memory', label: 'peak memory, MB', format: { style: 'fixed', digits: 0 } as const },
  ],
  rows: findings.rows.map((row) => ({
    row: row.row.name,
    ...Object.fromEntries(
      Object.entries(METRICS).map(([metric, label]) => [label, summaryOf(row, metric)]),
    ),
    seconds: costOf(row, 'seconds'),
    memory: costOf(row, 'peakMemory')! / 1e6,
  })),
});
const differences = table({
  title: `${METHOD} less another row, in points, seed by seed`,
  columns: [
    { key: 'row', label: 'other row' },
    ...Object.values(METRICS).map((label) => ({ key: label, label, format: points })),
  ],
  rows: OTHERS.map((other) => ({
    row: other,
    ...Object.fromEntries(
      Object.entries(METRICS).map(([metric, label]) => [label, differenceTo(other, metric)]),
    ),
  })),
});
const early = table({
  title: 'Leaving early: mean over three seeds of accuracy and of measured time per image',
  columns: [
    { key: 'row', label: 'row' },
    { key: 'threshold', label: 'leave from', align: 'right' },
    { key: 'accuracy', label: 'accuracy', format: percent },
    { key: 'milliseconds', label: 'ms', format: { style: 'fixed', digits: 3 } },
    { key: 'operations', label: 'operations', format: percent },
  ],
  rows: [...times].flatMap(([row, each]) =>
    each.map((at) => ({
      row,
      ...at,
      threshold: at.threshold > 1 ? 'never' : String(at.threshold),
    })),
  ),
});
const curves = linePlot({
  title: 'Accuracy over measured time',
  caption: 'Mean over three seeds; along a line the threshold rises from 0 to never.',
  x: { label: 'ms per image', format: { style: 'fixed', digits: 2 } },
  y: { label: 'test accuracy', format: { style: 'percent', digits: 0 } },
  series: [...times].map(([name, each]) => ({
    name,
    points: each.map(({ milliseconds: x, accuracy: y }) => ({ x, y })),
  })),
});
const forest = forestPlot({
  title: `${METHOD} less other rows, test accuracy`,
  x: { label: 'points; better is to the right', format: points },
  reference: 0,
  rows: OTHERS.flatMap((other) =>
    Object.entries(METRICS).map(([metric, label]) => {
      const { value, low, high } = differenceTo(other, metric);
      return { label: `${other}, ${label}`, mean: value, low: low!, high: high! };
    }),
  ),
});

const backend = await useBackend({ prefer: ['tfjs-node-gpu', 'wasm'], threads: 1 });
const machine = machineLine(backend);
const page = renderReport({
  title: `${study.name}: exits`,
  subtitle: machine,
  sections: [
    { heading: 'Accuracy', blocks: [accuracies, differences, forest] },
    { heading: 'Early exit', blocks: [curves, early] },
  ],
});
await writeFile(join(study.dir, 'exits.html'), page);
await writeFile(join(study.dir, 'exits.svg'), toSvg(forest));
console.log(`${machine}\n`);
for (const each of [accuracies, differences, early])
  console.log(`${each.title}\n${toText(each)}\n`);
console.log(`exits.html, exits.svg in ${study.dir}`);

async function testFindings(): Promise<Findings> {
  const planner = await Planner.create(study);
  const rows: PlannedRow[] = [];
  for await (const row of planner.rows()) rows.push(row);
  const store = StudyStore.read(study.dir);
  try {
    const findings = await analyse(planner, rows, store, 'test');
    const lacking = findings.rows.filter((row) =>
      [...metricOf(row, 'accuracy').values.values()].includes(null),
    );
    if (lacking.length > 0) throw untested(lacking);
    return findings;
  } finally {
    store?.close();
  }
}

/** Leaving a seed out of one row would pair the others with the wrong ones. */
function untested(rows: readonly RowFindings[]): EspalierError {
  const names = rows.map(({ row }) => `'${row.name}'`).join(', ');
  return new EspalierError('metadistiller/no-test', {
    problem: `no test figures for some seeds of ${names}`,
    fix: 'Run npx espalier study run examples/metadistiller/study.ts, then report it with --test; a row in which a seed failed is not compared.',
  });
}

function metricOf({ metrics }: RowFindings, name: string): MetricFinding {
  return metrics.find(({ metric }) => metric.name === name)!;
}

function valuesOf(row: RowFindings, metric: string): number[] {
  return [...metricOf(row, metric).values.values()].filter((value) => value !== null);
}

function summaryOf(row: RowFindings, metric: string): Estimate | null {
  const { summary } = metricOf(row, metric);
  return summary && { value: summary.mean, low: summary.low, high: summary.high };
}

function costOf({ costs }: RowFindings, name: 'seconds' | 'peakMemory'): number | null {
  return costs.find(({ cost }) => cost === name)!.mean;
}

function differenceTo(other: string, metric: string): Estimate {
  const [own, others] = [METHOD, other].map((name) =>
    valuesOf(
      findings.rows.find(({ row }) => row.name === name)!,
      metric,
    ),
  );
  const { mean, low, high } = pairedDifference(own!, others!);
  return { value: 100 * mean, low: 100 * low!, high: 100 * high! };
}
