import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeCounts, writeMatrix } from './large/make-matrix.js';
import { runCompress } from './large/run-compress.js';
import type { Figure } from './measure.js';

/** Options of this bench. */
export const LARGE_OPTIONS = {
  words: { type: 'string', default: '793471' },
  ratios: { type: 'string', default: '26,6.6' },
} as const;

const BIN = fileURLToPath(new URL('../bin/espalier.js', import.meta.resolve('espalier')));
const COLUMNS = 1024;
/** The bound on resident memory. */
const BOUND = 2 * 2 ** 30;

interface Told {
  readonly totals: { readonly matrices: { readonly before: number; readonly after: number } };
  readonly fidelity: readonly { readonly error: number; readonly weightedError?: number }[];
}

/**
 * Compresses a matrix that memory does not hold, 793 471 × 1024 float32 (3.25 GB), with power-law counts; the matrix
 * stays in `runs/bench/large` for the next time.
 */
export async function benchLargeMatrix({
  words,
  ratios,
}: Readonly<Record<'ratios' | 'words', string>>): Promise<readonly Figure[]> {
  const rows = Number(words);
  const dir = join('runs', 'bench', 'large');
  mkdirSync(dir, { recursive: true });
  const [matrix, counts] = [join(dir, `words-${rows}.npy`), join(dir, `counts-${rows}.txt`)];
  writeMatrix(matrix, { rows, columns: COLUMNS });
  writeCounts(counts, rows);
  const figures: Figure[] = [];
  for (const ratio of ratios.split(',')) {
    const out = join(dir, `small-${rows}-${ratio}`);
    const args = [matrix, '--counts', counts, '--ratio', ratio, '--out', out];
    const { told, seconds, peakBytes } = await runCompress(BIN, args, { inherit: true });
    figures.push(...describe(ratio, told as Told, seconds, peakBytes));
  }
  return figures;
}

function describe(ratio: string, told: Told, seconds: number, peakBytes: number): Figure[] {
  const { before, after } = told.totals.matrices;
  const [{ error, weightedError }] = told.fidelity as [Told['fidelity'][number]];
  const errors = `error ${error.toPrecision(4)}, weighted ${weightedError?.toPrecision(4)}`;
  return [
    { name: `${ratio} ×: time`, value: seconds, unit: 's' },
    {
      name: `${ratio} ×: peak memory`,
      value: peakBytes / 2 ** 20,
      unit: 'MiB',
      target: BOUND / 2 ** 20,
      spread: `${(before / after).toFixed(2)} × smaller, ${errors}`,
    },
  ];
}
