/** The best so far of one row of scores, in falling order. */
export class BestScores {
  readonly values: Float32Array;
  readonly words: Int32Array;
  readonly #last: number;

  constructor(k: number) {
    this.values = new Float32Array(k).fill(-Infinity);
    this.words = new Int32Array(k);
    this.#last = k - 1;
  }

  /**
   * Offers `size` scores from `from` on, of the words at positions from `position` on; `bias` is by
   * position, `words` too: none where positions are word ids.
   */
  offer(
    scores: Float32Array,
    from: number,
    size: number,
    position: number,
    bias: Float32Array,
    words: Int32Array | undefined,
  ): void {
    const ahead = position - from;
    const fours = from + (size & ~3);
    let least = this.values[this.#last]!;
    // Nearly all are below the least: four at a time, that is all there is to see.
    for (let i = from; i < fours; i += 4) {
      const b = i + ahead;
      if (
        scores[i]! + bias[b]! > least ||
        scores[i + 1]! + bias[b + 1]! > least ||
        scores[i + 2]! + bias[b + 2]! > least ||
        scores[i + 3]! + bias[b + 3]! > least
      ) {
        least = this.#take(scores, i, i + 4, ahead, bias, words);
      }
    }
    this.#take(scores, fours, from + size, ahead, bias, words);
  }

  /** The least of the best, after these scores. */
  #take(
    scores: Float32Array,
    from: number,
    to: number,
    ahead: number,
    bias: Float32Array,
    words: Int32Array | undefined,
  ): number {
    for (let i = from; i < to; i++) {
      const score = Math.fround(scores[i]! + bias[i + ahead]!);
      if (!(score > this.values[this.#last]!)) continue;
      this.#insert(score, words ? words[i + ahead]! : i + ahead);
    }
    return this.values[this.#last]!;
  }

  #insert(score: number, word: number): void {
    let place = this.#last;
    for (; place > 0 && this.values[place - 1]! < score; place--) {
      this.values[place] = this.values[place - 1]!;
      this.words[place] = this.words[place - 1]!;
    }
    this.values[place] = score;
    this.words[place] = word;
  }
}
