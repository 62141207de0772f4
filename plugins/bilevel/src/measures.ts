import { followPaths } from '@espalier/core';
import type { NamedTensors, StructureChange } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { dot, mapTensors } from './tensor-math.js';

/** The outer loss after the virtual step on the same batches, with φ before and after an outer step. */
export interface Comparison {
  readonly before: number;
  readonly after: number;
  /** With φ as it was where outer steps began. */
  readonly start: number;
}

/** The numbers of an epoch under way as plain data. */
export interface MeasuresData {
  /** Outer steps, and the sums of their outer losses and norms of hypergradients. */
  readonly count: number;
  readonly outer: number;
  readonly norm: number;
  /** Outer steps at which the norm of the loss's gradient of φ was known, and its sum. */
  readonly pushes: number;
  readonly lossNorm: number;
  readonly compared: Comparison | null;
}

const NONE: MeasuresData = { count: 0, outer: 0, norm: 0, pushes: 0, lossNorm: 0, compared: null };

/** The numbers of an outer step. */
export interface OuterNumbers {
  readonly outer: number;
  /** Of the hypergradient as found. */
  readonly norm: number;
  readonly lossNorm: number | undefined;
  readonly compared: Comparison | undefined;
}

/** What the outer steps of an epoch did, and how far φ has come from where they began. */
export class Measures {
  #epoch = NONE;
  #start: NamedTensors | undefined;

  /** Whether no outer step of the epoch was compared yet. */
  get wantsComparison(): boolean {
    return this.#epoch.compared === null;
  }

  /** Outer steps begin: φ as it is now is what later ones are compared with. */
  begin(phi: NamedTensors): void {
    this.#start = mapTensors(phi, (each) => tf.keep(tf.clone(each)));
  }

  add({ outer, norm, lossNorm, compared }: OuterNumbers): void {
    const sums = this.#epoch;
    this.#epoch = {
      count: sums.count + 1,
      outer: sums.outer + outer,
      norm: sums.norm + norm,
      pushes: sums.pushes + (lossNorm === undefined ? 0 : 1),
      lossNorm: sums.lossNorm + (lossNorm ?? 0),
      compared: sums.compared ?? compared ?? null,
    };
  }

  /** The numbers of the epoch by name; the next begins. One read, where outer steps have begun. */
  async close(phi: NamedTensors): Promise<Readonly<Record<string, number>>> {
    const { count, outer, norm, pushes, lossNorm, compared } = this.#epoch;
    this.#epoch = NONE;
    const change = await this.#measureChange(phi);
    return {
      ...(count > 0 && { outer: outer / count, norm: norm / count }),
      ...(pushes > 0 && { 'loss-norm': lossNorm / pushes }),
      ...(compared && {
        'outer-before': compared.before,
        'outer-after': compared.after,
        'outer-start': compared.start,
      }),
      ...(change !== undefined && { change }),
    };
  }

  /** ‖φ − φ₀‖/‖φ₀‖; nothing where φ₀ is 0. */
  async #measureChange(phi: NamedTensors): Promise<number | undefined> {
    const start = this.#start;
    if (!start) return undefined;
    const squares = tf.tidy(() => {
      const there = mapTensors(start, (each, path) => tf.sub(phi[path] ?? each, each));
      return tf.stack([dot(there, there), dot(start, start)]);
    });
    const [moved, size] = await squares.data();
    squares.dispose();
    return size! > 0 ? Math.sqrt(moved! / size!) : undefined;
  }

  follow(change: StructureChange): void {
    if (this.#start) this.#start = followPaths(this.#start, change);
  }

  get data(): MeasuresData {
    return this.#epoch;
  }

  /** φ where outer steps began, by path; live tensors. */
  get start(): NamedTensors {
    return this.#start ?? {};
  }

  /** @param start Undefined where outer steps have not begun. */
  restore(data: MeasuresData, start: NamedTensors | undefined): void {
    this.dispose();
    this.#epoch = data;
    if (start) this.begin(start);
  }

  dispose(): void {
    tf.dispose(this.start);
    this.#start = undefined;
  }
}
