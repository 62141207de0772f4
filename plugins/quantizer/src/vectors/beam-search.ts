import type { Matrix } from '@espalier/compression';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { viewRows } from './encode-parts.js';
import { findRange, shift } from './range.js';

/** The tables of all stages, one below the other: `[stages · size, columns]`. */
export interface StageTables {
  readonly codebook: Float32Array;
  readonly stages: number;
  /** Entries of a table. */
  readonly size: number;
  readonly columns: number;
}

/** Products of rows and entries at once. */
const PRODUCTS = 2 ** 20;

/**
 * Codes of rows by a beam search over the stages: the `beam` best sums of entries so far are continued by
 * every entry of the next table. Distances come from products of rows with entries and of entries with
 * each other, so that no residual is computed.
 *
 * @returns Codes `[rows, stages]`.
 */
export async function searchBeam(
  matrix: Matrix,
  tables: StageTables,
  beam: number,
): Promise<Uint8Array> {
  const { stages, size, columns } = tables;
  const codes = new Uint8Array(matrix.rows * stages);
  const { centre, scale } = findRange(tables.codebook.subarray(0, size * columns), columns);
  const entries = tf.tidy(() => uploadEntries(tables, centre, scale));
  const products = tf.tidy(() => tf.matMul(entries, entries, false, true));
  const between = (await products.data()) as Float32Array;
  products.dispose();
  const walk = new Beam(between, stages, size, beam);
  const step = Math.max(1, Math.floor(PRODUCTS / (stages * size)));
  for (let begin = 0; begin < matrix.rows; begin += step) {
    const { data, rows } = viewRows(matrix, begin, Math.min(matrix.rows, begin + step));
    const scores = tf.tidy(() =>
      tf.matMul(shift(data, columns, centre, scale), entries, false, true),
    );
    const withEntries = (await scores.data()) as Float32Array;
    scores.dispose();
    for (let i = 0; i < rows; i++) {
      codes.set(walk.encode(withEntries, i * stages * size), (begin + i) * stages);
    }
  }
  entries.dispose();
  return codes;
}

/** Entries `[stages · size, columns]`: the centre is taken off those of the first stage, as off the rows. */
function uploadEntries(
  { codebook, stages, size, columns }: StageTables,
  centre: Float32Array,
  scale: number,
): Tensor2D {
  const first = shift(codebook.subarray(0, size * columns), columns, centre, scale);
  if (stages === 1) return first;
  const rest = tf.tensor2d(codebook.subarray(size * columns), [(stages - 1) * size, columns]);
  return tf.concat2d([first, tf.mul<Tensor2D>(rest, scale)], 0);
}

/** The best sums of entries for one row, kept from row to row to save memory. */
class Beam {
  /** Twice what a sum's entries add to the distance of the next ones, `[size]`. */
  readonly #costs: Float64Array;
  #kept: Candidates;
  #next: Candidates;

  constructor(
    private readonly between: Float32Array,
    private readonly stages: number,
    private readonly size: number,
    private readonly beam: number,
  ) {
    this.#costs = new Float64Array(size);
    this.#kept = new Candidates(beam, stages);
    this.#next = new Candidates(beam, stages);
  }

  /** @param at Where the row's products with all entries begin. */
  encode(withEntries: Float32Array, at: number): Uint8Array {
    this.#kept.restart();
    for (let stage = 0; stage < this.stages; stage++) {
      this.#next.clear();
      for (let b = 0; b < this.#kept.count; b++) this.#extend(withEntries, at, stage, b);
      [this.#kept, this.#next] = [this.#next, this.#kept];
    }
    return this.#kept.codes.subarray(0, this.stages);
  }

  #extend(withEntries: Float32Array, at: number, stage: number, b: number): void {
    const costs = this.#costs;
    const { size, stages, between } = this;
    const all = stages * size;
    const first = stage * size;
    for (let k = 0; k < size; k++) {
      const entry = first + k;
      costs[k] = between[entry * all + entry]! - 2 * withEntries[at + entry]!;
    }
    for (let s = 0; s < stage; s++) {
      const row = (s * size + this.#kept.codes[b * stages + s]!) * all + first;
      for (let k = 0; k < size; k++) costs[k]! += 2 * between[row + k]!;
    }
    const start = this.#kept.distances[b]!;
    for (let k = 0; k < size; k++) {
      const distance = start + costs[k]!;
      if (distance < this.#next.worst) this.#next.offer(distance, this.#kept, b, k, stage);
    }
  }
}

/** A few partial codes with the least distances, in rising order. */
class Candidates {
  count = 0;
  worst = Infinity;
  readonly distances: Float64Array;
  /** `[beam, stages]`. */
  readonly codes: Uint8Array;

  constructor(
    private readonly beam: number,
    private readonly stages: number,
  ) {
    this.distances = new Float64Array(beam);
    this.codes = new Uint8Array(beam * stages);
  }

  clear(): void {
    this.count = 0;
    this.worst = Infinity;
  }

  /** One candidate: no entry yet. */
  restart(): void {
    this.clear();
    this.distances[0] = 0;
    this.count = 1;
  }

  /** Takes the codes of `from`'s candidate `b`, continued by `code`. */
  offer(distance: number, from: Candidates, b: number, code: number, stage: number): void {
    const { stages, codes, distances } = this;
    if (this.count < this.beam) this.count++;
    let at = this.count - 1;
    for (; at > 0 && distances[at - 1]! > distance; at--) {
      distances[at] = distances[at - 1]!;
      codes.copyWithin(at * stages, (at - 1) * stages, at * stages);
    }
    distances[at] = distance;
    for (let s = 0; s < stage; s++) codes[at * stages + s] = from.codes[b * stages + s]!;
    codes[at * stages + stage] = code;
    if (this.count === this.beam) this.worst = distances[this.beam - 1]!;
  }
}
