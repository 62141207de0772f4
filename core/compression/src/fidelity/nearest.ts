import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';

/** Searches for the nearest rows, by cosine, of some rows among all, which come some at a time. */
export class NearestRows {
  readonly #asked: Int32Array;
  readonly #directions: Tensor2D;
  readonly #found: readonly Nearest[];

  /**
   * @param asked Numbers of the rows that are asked for theirs.
   * @param rows Those rows, `[asked, columns]`.
   * @param k How many nearest of each.
   */
  constructor(asked: Int32Array, rows: Float32Array, k: number) {
    this.#asked = asked;
    const columns = rows.length / asked.length;
    this.#directions = tf.tidy(() => normalize(tf.tensor2d(rows, [asked.length, columns])));
    this.#found = Array.from(asked, () => new Nearest(k));
  }

  /** Looks at the rows from number `begin` on. */
  async add(begin: number, data: Float32Array): Promise<void> {
    const columns = this.#directions.shape[1];
    const rows = data.length / columns;
    const cosines = tf.tidy(() =>
      tf.matMul(this.#directions, normalize(tf.tensor2d(data, [rows, columns])), false, true),
    );
    const values = (await cosines.data()) as Float32Array;
    cosines.dispose();
    this.#found.forEach((nearest, i) => {
      nearest.add(values.subarray(i * rows, (i + 1) * rows), begin, this.#asked[i]!);
    });
  }

  /** Of each row that was asked the numbers of its nearest, the nearest first. Frees the search. */
  end(): readonly Int32Array[] {
    this.#directions.dispose();
    return this.#found.map(({ ids }) => ids);
  }
}

/** Rows of length 1. */
function normalize(rows: Tensor2D): Tensor2D {
  return tf.mul(rows, tf.rsqrt(tf.maximum(tf.sum(tf.square(rows), 1, true), 1e-30)));
}

/** The rows of the largest values so far, in falling order; of equals the first. */
class Nearest {
  readonly ids: Int32Array;
  readonly #values: Float32Array;
  #size = 0;

  constructor(k: number) {
    this.ids = new Int32Array(k);
    this.#values = new Float32Array(k);
  }

  /** @param self A row that does not count. */
  add(values: Float32Array, begin: number, self: number): void {
    const { ids } = this;
    const best = this.#values;
    const k = ids.length;
    if (k === 0) return;
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (this.#size === k && !(value > best[k - 1]!)) continue;
      if (begin + i === self) continue;
      let at = this.#size === k ? k - 1 : this.#size++;
      for (; at > 0 && best[at - 1]! < value; at--) {
        best[at] = best[at - 1]!;
        ids[at] = ids[at - 1]!;
      }
      best[at] = value;
      ids[at] = begin + i;
    }
  }
}
