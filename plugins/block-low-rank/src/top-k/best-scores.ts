/**
 * The best so far of one row of scores, in falling order; of equal ones the one offered first is the
 * better. NaN is never among them: where it leaves too few, the last values are −Infinity, of word −1.
 */
export class BestScores {
  readonly values: Float32Array;
  readonly words: Int32Array;
  #found = 0;

  constructor(private readonly k: number) {
    this.values = new Float32Array(k).fill(-Infinity);
    this.words = new Int32Array(k).fill(-1);
  }

  /** The least of the best, which a score must exceed to be taken; NaN while any is. */
  get least(): number {
    return this.#found < this.k ? NaN : this.values[this.k - 1]!;
  }

  /**
   * Offers `size` scores from `from` on, of the words at positions from `position` on, which `words`
   * names: none where positions are word ids.
   */
  offer(
    scores: Float32Array,
    from: number,
    size: number,
    position: number,
    words: Int32Array | undefined,
  ): void {
    const ahead = position - from;
    const end = from + size;
    let i = from;
    for (; i < end && this.#found < this.k; i++) this.#take(scores, i, i + 1, ahead, words);
    let { least } = this;
    // Nearly all are below the least: eight at a time, that is all there is to see.
    for (; i + 8 <= end; i += 8) {
      if (
        scores[i]! > least ||
        scores[i + 1]! > least ||
        scores[i + 2]! > least ||
        scores[i + 3]! > least ||
        scores[i + 4]! > least ||
        scores[i + 5]! > least ||
        scores[i + 6]! > least ||
        scores[i + 7]! > least
      ) {
        this.#take(scores, i, i + 8, ahead, words);
        least = this.least;
      }
    }
    this.#take(scores, i, end, ahead, words);
  }

  #take(
    scores: Float32Array,
    from: number,
    to: number,
    ahead: number,
    words: Int32Array | undefined,
  ): void {
    for (let i = from; i < to; i++) {
      const score = scores[i]!;
      if (score <= this.least || Number.isNaN(score)) continue;
      this.#insert(score, words ? words[i + ahead]! : i + ahead);
    }
  }

  #insert(score: number, word: number): void {
    if (this.#found < this.k) this.#found++;
    let place = this.#found - 1;
    for (; place > 0 && this.values[place - 1]! < score; place--) {
      this.values[place] = this.values[place - 1]!;
      this.words[place] = this.words[place - 1]!;
    }
    this.values[place] = score;
    this.words[place] = word;
  }
}
