import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { printableLine, quoteWord } from '@espalier/base';
import { makeFolder } from '@espalier/base/node';
import { EspalierError, fileError } from '@espalier/core';
import { toSvg, toText } from '@espalier/report';
import {
  analysePlan,
  comparePlans,
  contrastPlots,
  contrastTable,
  describeDifference,
  effectsPlot,
  listWarnings,
  loadStudy,
  localExecutor,
  Planner,
  resolvePlan,
  studyCsv,
  studyJson,
  studyMarkdown,
  studyPage,
  StudyStore,
  studyTable,
  testStudy,
} from '@espalier/study';
import type { Findings, PlannedRow, StudyPlan, StudyRecords } from '@espalier/study';
import { print, printAside } from '../print.js';
import { isPacked, readPacked, resultsFolder } from '../study/packed-file.js';

/** Options of `espalier study report`. */
export interface StudyReportOptions {
  /** Reads the test split, once. */
  readonly test?: boolean;
  /** Reads it again, though the study has changed since. */
  readonly testAgain?: boolean;
  readonly concurrency?: number;
  /** Folder of what is written. */
  readonly out?: string;
  /** Of a packed study: the study, to compare its present code and data with. */
  readonly study?: string;
}

/** Prints the tables; writes page, Markdown, CSV, JSON and plots. */
export async function report(path: string, options: StudyReportOptions): Promise<void> {
  if (isPacked(path)) return reportPacked(path, options);
  const present = await readPresent(path);
  const read = async <T>(work: (records: StudyRecords) => T | Promise<T>): Promise<T> => {
    const store = StudyStore.read(present.dir);
    try {
      if (!store) throw noResultsYet(path);
      return await work(store);
    } finally {
      store?.close();
    }
  };
  const tests = options.test ?? options.testAgain ?? false;
  const plan = await read((records) => present.resolve(records));
  const find = (split: Findings['split']) =>
    read((records) => {
      const { plan: chosen, differs } = choosePlan(plan, records);
      return { ...analysePlan(chosen, records, split), ...(differs !== undefined && { differs }) };
    });
  if (tests) {
    await testStudy(present.planner, await find('validation'), {
      executor: localExecutor({ concurrency: options.concurrency }),
      again: options.testAgain,
      onProgress: (done, total) => printAside(`test data: ${done}/${total} trials`),
    });
  }
  await writeReport(await find(tests ? 'test' : 'validation'), options.out ?? present.dir);
}

async function reportPacked(path: string, options: StudyReportOptions): Promise<void> {
  const records = await readPacked(path);
  const plan = records.plan()!;
  const findings = analysePlan(plan, records, options.test ? 'test' : 'validation');
  if (options.test && !findings.rows.some(({ metrics }) => metrics[0]!.summary)) {
    throw noTestResults(path);
  }
  const differs =
    options.study === undefined ? undefined : await compareWith(options.study, records);
  const dir = options.out ?? resultsFolder(path, plan, '--out');
  await writeReport({ ...findings, ...(differs !== undefined && { differs }) }, dir);
}

async function compareWith(study: string, records: StudyRecords): Promise<string | undefined> {
  const present = await readPresent(study);
  return choosePlan(await present.resolve(records), records).differs;
}

/** The study as it is here and now. */
async function readPresent(path: string) {
  const study = await loadStudy(path);
  const planner = await Planner.create(study);
  const rows: PlannedRow[] = [];
  for await (const row of planner.rows()) rows.push(row);
  const resolve = (records: StudyRecords) => resolvePlan(planner, rows, (id) => records.trial(id));
  return { dir: study.dir, planner, resolve };
}

/** What the trials ran with is reported, also where the present code or data are others. */
function choosePlan(present: StudyPlan, records: StudyRecords) {
  const recorded = records.plan();
  const difference = recorded && comparePlans(recorded, present, records);
  if (!difference) return { plan: present };
  return {
    plan: recorded,
    differs: `${describeDifference(difference)}. The report is of the trials as they ran.`,
  };
}

async function writeReport(findings: Findings, dir: string): Promise<void> {
  const generated = `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  const compared = findings.rows.some(({ metrics }) => metrics[0]!.comparison.kind === 'paired');
  const plots = findings.complete
    ? findings.contrasts.flatMap((family) => contrastPlots(findings, family))
    : [];
  const files: Record<string, string> = {
    ...(compared && { 'differences.svg': toSvg(effectsPlot(findings)) }),
    ...Object.fromEntries(plots.map((plot, i) => [`contrasts-${i + 1}.svg`, toSvg(plot)])),
    'report.html': studyPage(findings, { generated }),
    'report.md': studyMarkdown(findings),
    'results.csv': studyCsv(findings),
    'results.json': studyJson(findings),
  };
  await writeFiles(dir, files);
  const contrasts = findings.contrasts.map((family) => {
    return `Contrasts: ${printableLine(family.name)}\n${toText(contrastTable(findings, family))}`;
  });
  const warnings = listWarnings(findings).map((each) => `Warning: ${printableLine(each)}\n`);
  const written = `${Object.keys(files).join(', ')} in ${dir}`;
  const parts = [toText(studyTable(findings)), ...contrasts, ...warnings, written];
  print(parts.join('\n'));
}

async function writeFiles(dir: string, files: Readonly<Record<string, string>>): Promise<void> {
  try {
    makeFolder(dir);
    for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text);
  } catch (cause) {
    throw fileError('cli/out', `cannot write the report into ${dir}`, cause);
  }
}

function noResultsYet(path: string): EspalierError {
  return new EspalierError('cli/no-results', {
    problem: 'no trial has ended yet',
    fix: `Run the study first: espalier study run ${quoteWord(path)}.`,
  });
}

function noTestResults(path: string): EspalierError {
  return new EspalierError('cli/no-results', {
    problem: `${path} has no results of the test data`,
    fix: 'Where the study is, run espalier study report --test, then pack it again.',
  });
}
