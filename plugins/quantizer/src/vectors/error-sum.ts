import type { Points } from './points.js';

/** Sums squared errors, and squares, of points and what is put in their place. */
export class ErrorSum {
  #error = 0;
  #norm = 0;

  /** Adds points and their entries in a table, each times its weight. */
  add({ data, count, width, weights }: Points, nearest: Int32Array, table: Float32Array): void {
    for (let i = 0, at = 0; i < count; i++) {
      let [error, norm] = [0, 0];
      for (let j = 0, c = nearest[i]! * width; j < width; j++, at++, c++) {
        const x = data[at]!;
        error += (x - table[c]!) * (x - table[c]!);
        norm += x * x;
      }
      const weight = weights ? weights[i]! : 1;
      this.#error += weight * error;
      this.#norm += weight * norm;
    }
  }

  /** Σ w ‖x − c‖². */
  get squared(): number {
    return this.#error;
  }

  /** √(Σ w ‖x − c‖² / Σ w ‖x‖²); 0 where all points are 0. */
  get relative(): number {
    return this.#norm === 0 ? 0 : Math.sqrt(this.#error / this.#norm);
  }
}
