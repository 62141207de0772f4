import { keyedRng } from '@espalier/core';
import type { Matrix } from '@espalier/linalg';
import type { RowSource } from '../storage/row-source.js';
import { NearestRows } from './nearest.js';

/** Options of {@link neighbourOverlap}. */
export interface NeighbourOptions {
  /** How many nearest words are compared; default 10. */
  readonly neighbours?: number;
  /** How many words are asked for theirs, shared out evenly; default 1000. */
  readonly queries?: number;
  /** Draws those words; default 0. */
  readonly seed?: number;
}

/** Options of {@link compareRows}. */
export interface CompareRowsOptions extends NeighbourOptions {
  /** Weight of each row's error, `[rows]`. */
  readonly weights?: ArrayLike<number> | undefined;
  /** Groups of rows: for each, the error and the overlap of neighbours are told. */
  readonly deciles?: readonly Int32Array[] | undefined;
  /** Called with rows that were read and all that will be: each matrix once more where neighbours are searched. */
  readonly onRows?: ((done: number, total: number) => void) | undefined;
}

/** What {@link compareRows} tells; errors as `relativeError`. */
export interface RowComparison {
  readonly error: number;
  /** Only with weights. */
  readonly weightedError?: number;
  /** Of each group; only with groups. */
  readonly deciles?: { readonly errors: readonly number[]; readonly overlaps: readonly number[] };
}

type Rows = Pick<RowSource, 'columns' | 'readRows' | 'rows'>;

/** Numbers that are compared, and products that are computed, at once. */
const [NUMBERS, PRODUCTS] = [4_000_000, 4_000_000];

/**
 * Compares two matrices that are read some rows at a time, in one sweep: errors, and which of the nearest words stay.
 *
 * @example
 * const { error, deciles } = await compareRows(original, decoded, { deciles: frequencyDeciles(rows) });
 */
export async function compareRows(
  original: Rows,
  approximated: Rows,
  { weights, deciles, onRows, ...options }: CompareRowsOptions = {},
): Promise<RowComparison> {
  const { rows, columns } = original;
  const errors = new RowErrors(rows);
  const total = (deciles ? 4 : 2) * rows;
  let read = 0;
  const tell = (count: number) => onRows?.((read += count), total);
  const search = deciles && (await searchBoth(original, approximated, deciles, options, tell));
  const size = chunkRows(original, search?.asked);
  for (let begin = 0; begin < rows; begin += size) {
    const end = Math.min(begin + size, rows);
    const before = await original.readRows(begin, end);
    const after = await approximated.readRows(begin, end);
    errors.add(begin, columns, before, after);
    await search?.add(begin, before, after);
    tell(2 * (end - begin));
  }
  return {
    error: errors.of(),
    ...(weights && { weightedError: errors.of(undefined, weights) }),
    ...(deciles && {
      deciles: { errors: deciles.map((group) => errors.of(group)), overlaps: search!.end() },
    }),
  };
}

/**
 * Which share of a word's nearest words, by cosine among all words, stays: the mean over sampled
 * words of each group, from 0 to 1.
 *
 * @example
 * const overlap = await neighbourOverlap(matrix, decoded, frequencyDeciles(words, counts));
 */
export async function neighbourOverlap(
  original: Matrix,
  approximated: Matrix,
  deciles: readonly Int32Array[],
  options: NeighbourOptions = {},
): Promise<number[]> {
  const [before, after] = [inMemory(original), inMemory(approximated)];
  const compared = await compareRows(before, after, { ...options, deciles });
  return [...compared.deciles!.overlaps];
}

function inMemory({ data, rows, columns }: Matrix): Rows {
  const readRows = (begin: number, end: number) => data.subarray(begin * columns, end * columns);
  return { rows, columns, readRows };
}

function chunkRows({ columns }: Rows, asked = 1): number {
  return Math.max(1, Math.floor(Math.min(NUMBERS / columns, PRODUCTS / asked)));
}

/** Squared errors and squared lengths of rows. */
class RowErrors {
  readonly #errors: Float64Array;
  readonly #squares: Float64Array;

  constructor(rows: number) {
    this.#errors = new Float64Array(rows);
    this.#squares = new Float64Array(rows);
  }

  add(begin: number, columns: number, before: Float32Array, after: Float32Array): void {
    for (let row = begin, at = 0; at < before.length; row++) {
      let [error, square] = [0, 0];
      for (const end = at + columns; at < end; at++) {
        error += (before[at]! - after[at]!) ** 2;
        square += before[at]! ** 2;
      }
      this.#errors[row] = error;
      this.#squares[row] = square;
    }
  }

  /** The relative error of some rows, or of all. */
  of(rows?: Int32Array, weights?: ArrayLike<number>): number {
    let [error, norm] = [0, 0];
    for (let i = 0; i < (rows ?? this.#errors).length; i++) {
      const row = rows ? rows[i]! : i;
      const weight = weights ? weights[row]! : 1;
      error += weight * this.#errors[row]!;
      norm += weight * this.#squares[row]!;
    }
    return norm === 0 ? 0 : Math.sqrt(error / norm);
  }
}

/** Searches both matrices for the neighbours of the same sampled words. */
async function searchBoth(
  original: Rows,
  approximated: Rows,
  deciles: readonly Int32Array[],
  { neighbours = 10, queries = 1000, seed = 0 }: NeighbourOptions,
  tell: (rows: number) => void,
) {
  const each = Math.ceil(queries / deciles.length);
  const samples = deciles.map((rows, i) => sample(rows, each, seed, i));
  const asked = Int32Array.from(samples.flatMap((rows) => [...rows]));
  const k = Math.min(neighbours, original.rows - 1);
  const before = new NearestRows(asked, await takeRows(original, asked, tell), k);
  const after = new NearestRows(asked, await takeRows(approximated, asked, tell), k);
  return {
    asked: asked.length,
    async add(begin: number, own: Float32Array, decoded: Float32Array) {
      await before.add(begin, own);
      await after.add(begin, decoded);
    },
    end(): readonly number[] {
      const [kept, found] = [before.end(), after.end()];
      let begin = 0;
      return samples.map(({ length }) => {
        const shares = Array.from({ length }, (_, i) =>
          computeOverlap(kept[begin + i]!, found[begin + i]!),
        );
        begin += length;
        return shares.reduce((sum, share) => sum + share, 0) / length;
      });
    },
  };
}

/** Some rows, in one sweep: where a layer's matrix lies by columns, one row costs as much as all. */
async function takeRows(
  source: Rows,
  asked: Int32Array,
  tell: (rows: number) => void,
): Promise<Float32Array> {
  const { rows, columns } = source;
  const taken = new Float32Array(asked.length * columns);
  const size = chunkRows(source);
  for (let begin = 0; begin < rows; begin += size) {
    const end = Math.min(begin + size, rows);
    const here = [...asked.keys()].filter((i) => asked[i]! >= begin && asked[i]! < end);
    if (here.length > 0) {
      const chunk = await source.readRows(begin, end);
      for (const i of here) {
        const at = (asked[i]! - begin) * columns;
        taken.set(chunk.subarray(at, at + columns), i * columns);
      }
    }
    tell(end - begin);
  }
  return taken;
}

/** `size` different rows at random, or all where there are no more. */
function sample(rows: Int32Array, size: number, seed: number, group: number): Int32Array {
  if (rows.length <= size) return rows;
  const order = keyedRng(seed, 'neighbour-overlap', group).permutation(rows.length);
  return order.subarray(0, size).map((at) => rows[at]!);
}

function computeOverlap(before: Int32Array, after: Int32Array): number {
  if (before.length === 0) return 1;
  const kept = new Set(before);
  return after.filter((word) => kept.has(word)).length / before.length;
}
