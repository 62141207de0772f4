import seedrandom from 'seedrandom';

/** A source of uniform draws in [0, 1), and what is commonly made from them. */
export interface KeyedRng {
  /** A uniform draw in [0, 1). */
  (): number;
  /** A permutation of 0 … n−1 (Fisher–Yates). */
  permutation(n: number): Int32Array;
}

/**
 * A random stream that depends on its key alone: equal keys give equal draws, and no stream can
 * shift another's. Keys are (seed, owner, purpose, step…), so there is no position to save:
 * a resumed run derives the same streams again.
 *
 * @example
 * const draw = keyedRng(0, 'my-plugin', 'noise', 12);
 * draw(); // the same number in every run
 */
export function keyedRng(...key: readonly (string | number)[]): KeyedRng {
  const draw = seedrandom.alea(JSON.stringify(key));
  return Object.assign(() => draw(), {
    permutation(n: number): Int32Array {
      const order = Int32Array.from({ length: n }, (_, i) => i);
      for (let i = n - 1; i > 0; i--) {
        const j = Math.floor(draw() * (i + 1));
        [order[i], order[j]] = [order[j]!, order[i]!];
      }
      return order;
    },
  });
}
