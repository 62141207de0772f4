import { join } from 'node:path';
import type { Method } from './methods.js';
import type { Asked } from './run-row.js';

/** What `npm run bench -- embeddings` takes, for `parseArgs`. */
export const EMBEDDINGS_OPTIONS = {
  vectors: { type: 'string' },
  counts: { type: 'string' },
  data: { type: 'string' },
  sizes: { type: 'string', default: '4,8,16,26,32' },
  rows: { type: 'string', default: '' },
  queries: { type: 'string', default: '1000' },
  half: { type: 'string', default: 'odd' },
  seed: { type: 'string', default: '0' },
  out: { type: 'string', default: join('runs', 'bench', 'embeddings.jsonl') },
  cache: { type: 'string', default: join('runs', 'data', 'embeddings') },
  report: { type: 'boolean', default: false },
} as const;

/** As `parseArgs` gives them. */
export type EmbeddingsValues = Readonly<
  Record<'sizes' | 'rows' | 'queries' | 'half' | 'seed' | 'out' | 'cache', string> &
    Partial<Record<'vectors' | 'counts' | 'data', string>> &
    Record<'report', boolean>
>;

/** What the command line sets. */
export interface EmbeddingsOptions {
  /** Any file that `openMatrices` reads; without it GloVe comes from npm. */
  readonly vectors: string | undefined;
  readonly counts: string | undefined;
  /** Folder with `ptb-lstm`. */
  readonly data: string | undefined;
  readonly sizes: readonly number[];
  readonly methods: readonly Method[];
  readonly asked: Asked;
  /** Rows of results, `.jsonl`. */
  readonly out: string;
  readonly cache: string;
  /** Only the tables and plots of rows that are there. */
  readonly report: boolean;
}

/** @throws Error that says what is wrong. */
export function parseEmbeddingsOptions(
  values: EmbeddingsValues,
  methods: readonly Method[],
): EmbeddingsOptions {
  const { vectors, counts, data, half, out, cache, report } = values;
  if (counts !== undefined && vectors === undefined) {
    throw new Error('--counts needs --vectors: GloVe comes with counts of its own.');
  }
  if (half !== 'odd' && half !== 'even') throw new Error(`--half is odd or even, not '${half}'.`);
  const sizes = values.sizes.split(',').map((text) => parseNumber('sizes', text, 1));
  const queries = parseNumber('queries', values.queries, 10);
  const asked = { queries, half, seed: parseNumber('seed', values.seed, 0) } as const;
  const chosen = chooseMethods(values.rows, methods);
  return { vectors, counts, data, sizes, methods: chosen, asked, out, cache, report };
}

function parseNumber(name: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= least) return value;
  throw new Error(`--${name} needs numbers of at least ${least}, not '${text}'.`);
}

/** Those whose names contain one of the given parts. */
function chooseMethods(text: string, methods: readonly Method[]): readonly Method[] {
  if (text === '') return methods;
  const parts = text.split(',').map((part) => part.trim().toLowerCase());
  const has = ({ name }: Method, part: string) => name.toLowerCase().includes(part);
  const unknown = parts.find((part) => !methods.some((method) => has(method, part)));
  if (unknown !== undefined) {
    const names = methods.map(({ name }) => `'${name}'`).join(', ');
    throw new Error(`--rows: no row has '${unknown}' in its name. Rows: ${names}.`);
  }
  return methods.filter((method) => parts.some((part) => has(method, part)));
}
