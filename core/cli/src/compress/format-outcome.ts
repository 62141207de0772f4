import { basename, join } from 'node:path';
import { quoteWord } from '@espalier/base';
import { listBytes, sumBytes } from '@espalier/compress';
import type { BytesRow } from '@espalier/compress';
import { toText } from '@espalier/report';
import type { Table } from '@espalier/report';
import type { CompressFlags } from './flags.js';
import { writeLoadingCode } from './loading-code.js';
import type { Outcome } from './outcome.js';
import { makeBytesTable, makeDecileTable, makeFrontTable } from './tables.js';

/** The outcome for a terminal. */
export function formatText(outcome: Outcome): string {
  const deciles = makeDecileTable(outcome);
  const front = makeFrontTable(outcome);
  const { matrices, whole } = sumBytes(outcome);
  const { inputBytes, out, kind } = outcome;
  return [
    ...outcome.remarks.map((text) => `note: ${text}`),
    addTitle(makeBytesTable(outcome)),
    ...(deciles ? [addTitle(deciles)] : []),
    ...(front ? [addTitle(front)] : []),
    `Matrices ${formatRatio(matrices)} smaller, everything ${formatRatio(whole)}. On disk: ${inputBytes} bytes (${kind}) → ${whole.after}.`,
    `${out} holds the result, ${join(out, 'report.html')} tells more. To load it:\n\n${writeLoadingCode(outcome.modules, out)}`,
  ].join('\n\n');
}

/** The outcome for programs. */
export function describeAsData(outcome: Outcome): object {
  const { input, kind, out, command, inputBytes, compressed, fidelity, counts, remarks } = outcome;
  return {
    input,
    kind,
    out,
    command,
    inputBytes,
    bytes: listBytes(outcome),
    totals: sumBytes(outcome),
    steps: compressed.steps,
    fidelity,
    deciles: counts === 'none' ? 'order of rows' : 'word frequency',
    remarks,
  };
}

/** The command that gave this result, without folders. */
export function formatCommand(
  path: string,
  { layers, counts, maxError, ...flags }: CompressFlags,
): string {
  const { preset, ratio, budget, objective, bits, blocks, tied } = flags;
  const given = {
    preset,
    ratio,
    budget,
    'max-error': maxError,
    objective: writeObjective(objective),
    bits,
    counts: counts === undefined ? undefined : basename(counts),
    blocks,
    layers: layers?.join(','),
    tied,
  };
  const written = Object.entries(given).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name} ${quoteWord(String(value))}`],
  );
  return ['espalier compress', quoteWord(basename(path)), ...written].join(' ');
}

function writeObjective(objective: CompressFlags['objective']): string | undefined {
  if (typeof objective !== 'object') return objective;
  const shares = Object.entries(objective).map(([name, share]) => `${name}=${share}`);
  return shares.join(',');
}

function addTitle(table: Table): string {
  const { title, caption } = table;
  return [title, toText(table), caption].filter((part) => part !== undefined).join('\n');
}

function formatRatio({ before, after }: BytesRow): string {
  return `${(before / after).toFixed(2)}×`;
}
