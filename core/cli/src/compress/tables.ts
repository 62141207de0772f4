import { listBytes, sumBytes } from '@espalier/compress';
import type { BytesRow } from '@espalier/compress';
import { table } from '@espalier/report';
import type { Table } from '@espalier/report';
import type { Outcome } from './outcome.js';

const BYTES = { style: 'integer' } as const;
const RATIO = { style: 'fixed', digits: 2, unit: '×' } as const;
const ERROR = { style: 'significant', digits: 3 } as const;

/** Bytes before and after, layer by layer, with the errors of each matrix. */
export function makeBytesTable(outcome: Outcome): Table {
  const { matrices, whole } = sumBytes(outcome);
  const fidelity = new Map(outcome.fidelity.map((each) => [each.layer, each]));
  const rows = [...listBytes(outcome), matrices, whole].map((row) => {
    const { error = null, weightedError = null } = fidelity.get(row.what) ?? {};
    return { ...row, ratio: computeRatio(row), error, weightedError };
  });
  return table({
    title: 'Every byte',
    columns: [
      { key: 'what', label: '' },
      { key: 'before', label: 'Before', format: BYTES },
      { key: 'after', label: 'After', format: BYTES },
      { key: 'ratio', label: 'Ratio', format: RATIO },
      { key: 'error', label: 'Error', format: ERROR },
      ...(outcome.counts !== 'none'
        ? [{ key: 'weightedError', label: 'Weighted error', format: ERROR }]
        : []),
    ],
    rows,
    caption:
      'The model as it was and the result, each saved as an artifact; everything is counted. Errors are ‖A − Ã‖ / ‖A‖ of the matrix read back.',
  });
}

/** Error and neighbour overlap by decile; `undefined` where no matrix has words. */
export function makeDecileTable({ fidelity, counts }: Outcome): Table | undefined {
  const measured = fidelity.flatMap(({ layer, deciles }) => (deciles ? [{ layer, deciles }] : []));
  const groups = Math.max(0, ...measured.map(({ deciles }) => deciles.errors.length));
  if (groups === 0) return undefined;
  const rows = Array.from({ length: groups }, (_, i) => {
    const cells = measured.flatMap(({ deciles }, k) => [
      [`error${k}`, deciles.errors[i] ?? null],
      [`overlap${k}`, deciles.overlaps[i] ?? null],
    ]);
    return { decile: String(i + 1), ...(Object.fromEntries(cells) as Record<string, number>) };
  });
  return table({
    title: counts !== 'none' ? 'By word frequency' : 'By the order of rows',
    columns: [
      { key: 'decile', label: 'Decile' },
      ...measured.flatMap(({ layer }, k) => [
        { key: `error${k}`, label: `${layer}: error`, format: ERROR },
        {
          key: `overlap${k}`,
          label: 'overlap@10',
          format: { style: 'percent', digits: 1 } as const,
        },
      ]),
    ],
    rows,
    caption: `${counts !== 'none' ? 'The most frequent tenth of the words comes first' : 'No counts were given, so rows are taken in their order'}. overlap@10: how many of a word’s ten nearest, by cosine, stay; of up to 1000 words drawn at random.`,
  });
}

/** What other sizes would cost, by prediction; `undefined` where no plugin says so. */
export function makeFrontTable({ compressed: { steps } }: Outcome): Table | undefined {
  const fronts = listFronts(steps);
  if (fronts.length === 0) return undefined;
  const ratios = [...new Set(fronts.flatMap(({ front }) => front.map(({ ratio }) => ratio)))];
  return table({
    title: 'Other sizes',
    columns: [
      { key: 'ratio', label: 'Ratio', format: { style: 'fixed', digits: 0, unit: '×' } },
      ...fronts.map(({ layer }, k) => ({
        key: `error${k}`,
        label: `${layer}: error`,
        format: ERROR,
      })),
    ],
    rows: ratios.map((ratio) => ({
      ratio,
      ...Object.fromEntries(
        fronts.map(({ front }, k) => [
          `error${k}`,
          front.find((point) => point.ratio === ratio)?.error ?? null,
        ]),
      ),
    })),
    caption:
      'Predicted from what is known about the matrices, without coding them: the root of the objective, 1 where nothing is stored.',
  });
}

/** The layers whose plugin says what other sizes would cost. */
export function listFronts(steps: Outcome['compressed']['steps']) {
  return steps.flatMap(({ layer, front }) => (front ? [{ layer, front }] : []));
}

/** What each plugin did to each layer, in order. */
export function makeStepsTable({ compressed: { steps } }: Outcome): Table {
  return table({
    title: 'Step by step',
    columns: [
      { key: 'layer', label: 'Layer' },
      { key: 'plugin', label: 'Plugin' },
      { key: 'what', label: 'What' },
      { key: 'bytesBefore', label: 'Before', format: BYTES },
      { key: 'bytesAfter', label: 'After', format: BYTES },
      { key: 'relativeError', label: 'Error of this step', format: ERROR },
    ],
    rows: steps.map(({ layer, plugin, summary: what, bytesBefore, bytesAfter, relativeError }) => ({
      layer,
      plugin,
      what,
      bytesBefore,
      bytesAfter,
      relativeError,
    })),
    caption: 'Bytes in memory, in float32 and int32.',
  });
}

function computeRatio({ before, after }: BytesRow): number | null {
  return after > 0 ? before / after : null;
}
