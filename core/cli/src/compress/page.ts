import { basename } from 'node:path';
import { listBytes, shortenLists, sumBytes } from '@espalier/compress';
import type { BytesRow } from '@espalier/compress';
import {
  barPlot,
  code,
  json,
  keyValues,
  linePlot,
  note,
  renderReport,
  table,
} from '@espalier/report';
import type { Block, Section } from '@espalier/report';
import { writeLoadingCode } from './loading-code.js';
import type { Outcome } from './outcome.js';
import {
  listFronts,
  makeBytesTable,
  makeDecileTable,
  makeFrontTable,
  makeStepsTable,
} from './tables.js';

/** The outcome as one self-contained HTML page. */
export function renderPage(outcome: Outcome): string {
  const { matrices, whole } = sumBytes(outcome);
  return renderReport({
    title: `${outcome.input}, compressed`,
    subtitle: `Its matrices ${formatRatio(matrices)} smaller, everything ${formatRatio(whole)}.`,
    generated: `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    sections: [
      bytesSection(outcome),
      ...fidelitySection(outcome),
      ...frontSection(outcome),
      stepsSection(outcome),
      {
        heading: 'Use it',
        blocks: [
          code({
            summary: 'Load the result',
            text: writeLoadingCode(outcome.modules, basename(outcome.out)),
            open: true,
          }),
        ],
      },
      { heading: 'How it came to be', blocks: listCircumstances(outcome) },
    ],
  });
}

function bytesSection(outcome: Outcome): Section {
  const rows = listBytes(outcome).filter(({ before, after }) => before + after > 0);
  const series = (['before', 'after'] as const).map((name) => ({
    name,
    bars: rows.map((row) => ({ label: row.what, value: row[name] })),
  }));
  const value = { label: 'bytes', format: { style: 'compact' } as const };
  return {
    heading: 'Bytes',
    blocks: [
      ...outcome.remarks.map((text) => note({ level: 'info', text })),
      makeBytesTable(outcome),
      barPlot({ title: 'Bytes before and after', value, series }),
    ],
  };
}

function fidelitySection(outcome: Outcome): Section[] {
  const deciles = makeDecileTable(outcome);
  return deciles
    ? [
        {
          heading: 'What is lost where',
          blocks: [
            deciles,
            decilePlot(outcome, 'Relative error', 'errors'),
            decilePlot(outcome, 'Nearest words that stay', 'overlaps'),
          ],
        },
      ]
    : [];
}

/** What other sizes would cost, where a plugin says so. */
function frontSection(outcome: Outcome): Section[] {
  const front = makeFrontTable(outcome);
  if (!front) return [];
  const series = listFronts(outcome.compressed.steps).map(({ layer, front: points }) => ({
    name: layer,
    points: points.map(({ ratio, error }) => ({ x: ratio, y: error })),
  }));
  const plot = linePlot({
    title: 'Error by size, predicted',
    x: { label: 'times smaller' },
    y: { label: 'root of the objective', domain: [0, 0] },
    series,
    width: 'half',
  });
  return [{ heading: 'Other sizes', blocks: [front, plot] }];
}

function decilePlot(
  { fidelity, counts }: Outcome,
  title: string,
  of: 'errors' | 'overlaps',
): Block {
  const series = fidelity.flatMap(({ layer, deciles }) =>
    deciles ? [{ name: layer, points: deciles[of].map((y, i) => ({ x: i + 1, y })) }] : [],
  );
  return linePlot({
    title,
    x: {
      label:
        counts !== 'none' ? 'decile of words, most frequent first' : 'decile of rows, in order',
    },
    y: {
      label: of === 'errors' ? '‖A − Ã‖ / ‖A‖' : 'overlap@10',
      domain: [0, of === 'errors' ? 0 : 1],
    },
    series,
    width: 'half',
  });
}

function stepsSection(outcome: Outcome): Section {
  return { heading: 'What was done', blocks: [makeStepsTable(outcome), ...rankBlocks(outcome)] };
}

interface RankedLayer {
  readonly name: string;
  readonly blocks: readonly { readonly rows: number; readonly rank: number | null }[];
}

/** Words and rank of each block, of layers that have blocks. */
function rankBlocks({ compressed: { model } }: Outcome): Block[] {
  const layers = model.layers.flatMap((layer): RankedLayer[] => {
    const { blocks } = layer.getConfig() as Partial<RankedLayer>;
    return Array.isArray(blocks) ? [{ name: layer.name, blocks }] : [];
  });
  if (layers.length === 0) return [];
  const rows = layers.flatMap(({ name, blocks }) =>
    blocks.map((block, p) => ({
      layer: name,
      block: p + 1,
      words: block.rows,
      rank: block.rank ?? 'dense',
    })),
  );
  const columns = [
    { key: 'layer', label: 'Layer' },
    { key: 'block', label: 'Block' },
    { key: 'words', label: 'Words', format: { style: 'integer' } as const },
    { key: 'rank', label: 'Rank' },
  ];
  return [rankPlot(layers), table({ title: 'Ranks', columns, rows })];
}

function rankPlot(layers: readonly RankedLayer[]): Block {
  const series = layers.map(({ name, blocks }) => ({
    name,
    bars: blocks.map(({ rank }, p) => ({ label: `block ${p + 1}`, value: rank })),
  }));
  return barPlot({
    title: 'Rank of each block; dense ones have none',
    value: { label: 'rank' },
    series,
  });
}

function listCircumstances({
  kind,
  inputBytes,
  command,
  compressed: { inspection },
}: Outcome): Block[] {
  const { backend, manifest, edits } = inspection;
  return [
    keyValues([
      { label: 'Command', value: command },
      { label: 'Input', value: `${kind} of ${inputBytes.toLocaleString('en')} bytes on disk` },
      { label: 'Backend', value: backend.split('; ')[0]! },
    ]),
    json({ summary: 'Plugins and their options', value: shortenLists(manifest) }),
    json({ summary: 'Edits', value: edits }),
  ];
}

function formatRatio({ before, after }: BytesRow): string {
  return `${(before / after).toFixed(1)} times`;
}
