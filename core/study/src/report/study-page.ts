import { keyValues, note, renderReport } from '@espalier/report';
import type { Block, Section } from '@espalier/report';
import type { Findings } from '../analysis/findings.js';
import { contrastBlocks } from './contrast-tables.js';
import {
  changesCode,
  changesTable,
  differencesTable,
  effectsTable,
  failuresTable,
  hasAddedCosts,
  refusalsTable,
} from './detail-tables.js';
import { environmentsTable } from './environments-table.js';
import { describeMethod, describeComparison } from './introduction.js';
import { pluralize } from './number-text.js';
import { costPlots, effectsPlot, hasCosts, learningPlots, leftOut, seedPlots } from './plots.js';
import { listFailedTrials, progress, listRefusals } from './row-findings.js';
import { comparedRows, metricTable, studyTable } from './summary-table.js';
import { tuningTable } from './tuning-table.js';
import { listWarnings } from './warnings.js';

export interface StudyPageOptions {
  /** When and where it was made, as text. */
  readonly generated?: string;
}

/**
 * A study's findings as one self-contained HTML page: what was compared and how, tables and plots,
 * and every reason to trust them less.
 *
 * @example
 * writeFileSync('report.html', studyPage(await analyse(planner, rows, store)));
 */
export function studyPage(findings: Findings, { generated }: StudyPageOptions = {}): string {
  const sections = [
    {
      heading: 'Summary',
      lead: describeMethod(findings).join(' '),
      blocks: summaryBlocks(findings),
    },
    {
      heading: 'Contrasts',
      lead: 'The comparisons that the study names. p values are corrected within each family.',
      blocks: contrastBlocks(findings),
    },
    { heading: 'Differences to the base', blocks: differenceBlocks(findings) },
    {
      heading: 'Seed by seed',
      lead: 'Trials of one seed use the same random numbers wherever their rows do the same: where the seed matters, their dots move together.',
      blocks: seedPlots(findings),
    },
    { heading: 'Learning curves', blocks: learningPlots(findings) },
    { heading: 'Cost', blocks: costBlocks(findings) },
    { heading: 'Tuning', blocks: findings.tuning.length > 0 ? [tuningTable(findings)] : [] },
    {
      heading: 'Other metrics',
      lead: 'p values are corrected over the rows of one metric, not over metrics.',
      blocks: otherMetrics(findings),
    },
    { heading: 'Failed trials', blocks: failureBlocks(findings) },
    { heading: 'What the rows change', blocks: changeBlocks(findings) },
  ] satisfies Section[];
  return renderReport({
    title: findings.name,
    subtitle: describeComparison(findings),
    ...(generated !== undefined && { generated }),
    sections: sections.filter(({ blocks }) => blocks.length > 0),
    manifest: makeManifest(findings),
  });
}

function summaryBlocks(findings: Findings): readonly Block[] {
  const few = leftOut(findings);
  const warned = listWarnings(findings);
  return [
    ...(warned.length > 0 ? [note({ level: 'warning', text: warned.join('\n\n') })] : []),
    ...(few > 0
      ? [note({ level: 'info', text: `The plots do not show the last ${pluralize(few, 'row')}.` })]
      : []),
    studyTable(findings),
    facts(findings),
    ...(findings.environments.length > 0 ? [environmentsTable(findings)] : []),
  ];
}

function facts(findings: Findings): Block {
  const { epochs, batchSize } = findings.rows[0]!.row.budget;
  const { ended, all } = progress(findings);
  return keyValues([
    { label: 'Rows', value: findings.rows.length },
    { label: 'Seeds', value: findings.seeds.join(', ') },
    { label: 'Finished trials', value: ended === all ? ended : `${ended} of ${all}` },
    { label: 'Epochs of the base', value: epochs },
    { label: 'Batch size', value: batchSize },
    { label: 'Tuning tries per row', value: findings.tries },
    { label: 'Readings of the test split', value: findings.readings.length },
  ]);
}

function differenceBlocks(findings: Findings): readonly Block[] {
  const { complete, rows } = findings;
  const refused = complete && rows.some(({ metrics }) => listRefusals(metrics).length > 0);
  return [
    ...(comparedRows(findings, 0).length > 0
      ? [effectsPlot(findings), differencesTable(findings)]
      : []),
    ...(refused ? [refusalsTable(findings)] : []),
  ];
}

function costBlocks(findings: Findings): readonly Block[] {
  if (!hasCosts(findings)) return [];
  const added = hasAddedCosts(findings) ? [effectsTable(findings)] : [];
  return [...costPlots(findings), ...added];
}

function otherMetrics(findings: Findings): readonly Block[] {
  const [, ...others] = findings.rows[0]!.metrics;
  return others.map((_, i) => metricTable(findings, i + 1));
}

function failureBlocks(findings: Findings): readonly Block[] {
  return listFailedTrials(findings).length > 0 ? [failuresTable(findings)] : [];
}

function changeBlocks(findings: Findings): readonly Block[] {
  if (findings.rows.length < 2) return [];
  return [changesTable(findings), changesCode(findings)];
}

/** The base in whole; the other rows by what they set. */
function makeManifest(findings: Findings) {
  const { name, backend, manifest, seeds, split, tries, readings, environments, rows } = findings;
  return {
    study: name,
    backend,
    seeds,
    split,
    tuningTries: tries,
    testReadings: readings,
    environments,
    base: manifest,
    rows: rows.map(({ row: { name, kind, hash, budget, data, sets } }) => {
      return { name, kind, hash, budget, data, sets };
    }),
  };
}
