/** A text as word ids, split; what a model is trained, chosen and tested on. */
export interface Corpus {
  /** Words by id, in falling order of `counts`. */
  readonly vocab: readonly string[];
  /** How often each word stands in the training text. */
  readonly counts: Float64Array;
  readonly train: Int32Array;
  readonly validation: Int32Array;
  readonly test: Int32Array;
}

/** Stands behind each sentence. */
export const END = '<eos>';
/** Stands for each word that is not in the vocabulary. */
export const UNKNOWN = '<unk>';

/** The splits of a text as words. */
export type Words = Readonly<Record<'train' | 'validation' | 'test', readonly string[]>>;

/**
 * A corpus with the `size` most frequent words of the training text as vocabulary, {@link UNKNOWN}
 * among them; of words that are as frequent as each other, the earlier one comes first.
 */
export function corpusOf(words: Words, size: number): Corpus {
  const frequencies = countWords(words.train);
  const falling = [...frequencies].sort((a, b) => b[1] - a[1]);
  const known = falling.filter(([word]) => word !== UNKNOWN).slice(0, size - 1);
  const total = known.reduce((sum, [, count]) => sum + count, 0);
  const entries = [...known, [UNKNOWN, words.train.length - total] as const];
  entries.sort((a, b) => b[1] - a[1]);
  const vocab = entries.map(([word]) => word);
  const counts = Float64Array.from(entries, ([, count]) => count);
  return { vocab, counts, ...encodeAll(words, vocab) };
}

/** Ids of the words of all splits; every other word is {@link UNKNOWN}. */
export function encodeAll(
  words: Words,
  vocab: readonly string[],
): Omit<Corpus, 'vocab' | 'counts'> {
  const ids = new Map(vocab.map((word, id) => [word, id]));
  const unknown = ids.get(UNKNOWN)!;
  const encode = (text: readonly string[]) =>
    Int32Array.from(text, (word) => ids.get(word) ?? unknown);
  return {
    train: encode(words.train),
    validation: encode(words.validation),
    test: encode(words.test),
  };
}

function countWords(words: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}
