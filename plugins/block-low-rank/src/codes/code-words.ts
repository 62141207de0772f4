import type { WordStore, WorkStore } from '@espalier/compression';
import type { CodedBlock } from './layout.js';
import { countWords } from './row-bits.js';

/** Codes of rows of one block while they are written: row `first` of the block is row 0 of `words`. */
export interface OpenRows {
  readonly words: Int32Array;
  /** The row of `words` that comes next. */
  readonly next: number;
}

/** Writes the codes of all blocks, each from its first row on. */
export class CodeWords {
  readonly #blocks: readonly CodedBlock[];
  readonly #store: WordStore;
  readonly #next: number[];
  readonly #tails: Int32Array[];

  private constructor(blocks: readonly CodedBlock[], store: WordStore, next: readonly number[]) {
    this.#blocks = blocks;
    this.#store = store;
    this.#next = [...next];
    this.#tails = blocks.map(() => new Int32Array(0));
  }

  /** @param next Rows of each block whose codes are written already. */
  static async open(
    blocks: readonly CodedBlock[],
    store: WordStore,
    next: readonly number[],
  ): Promise<CodeWords> {
    const words = new CodeWords(blocks, store, next);
    for (const p of blocks.keys()) await words.#readTail(p);
    return words;
  }

  /** Rows of each block that are written. */
  get next(): readonly number[] {
    return this.#next;
  }

  /** Room for the next rows of a block, behind those of its last 32 that are written. */
  openRows(p: number, rows: number): OpenRows {
    const next = this.#next[p]! & 31;
    const words = new Int32Array(countWords(next + rows, this.#blocks[p]!.width));
    words.set(this.#tails[p]!);
    return { words, next };
  }

  /** Writes what {@link openRows} gave. */
  async close(p: number, { words }: OpenRows, rows: number): Promise<void> {
    const { word, width } = this.#blocks[p]!;
    const first = this.#next[p]! >>> 5;
    if (words.length > 0) await this.#store.write(word + first * width, words);
    this.#next[p]! += rows;
    this.#tails[p] = words.slice(((this.#next[p]! >>> 5) - first) * width);
  }

  flush(): Promise<void> {
    return this.#store.flush();
  }

  async #readTail(p: number): Promise<void> {
    const { word, width } = this.#blocks[p]!;
    const next = this.#next[p]!;
    const [begin, end] = [(next >>> 5) * width, countWords(next, width)];
    if (end > begin) this.#tails[p] = await this.#store.read(word + begin, word + end);
  }
}

/** Work that is kept nowhere: codes are in memory. */
export function workInMemory(): WorkStore {
  return {
    read: () => Promise.resolve(undefined),
    write: () => Promise.resolve(),
    openWords: (_, length) => Promise.resolve(wordsInMemory(length)),
  };
}

function wordsInMemory(length: number): WordStore {
  const all = new Int32Array(length);
  return {
    write: (at, words) => Promise.resolve(all.set(words, at)),
    read: (begin, end) => Promise.resolve(end - begin < length ? all.slice(begin, end) : all),
    flush: () => Promise.resolve(),
  };
}
