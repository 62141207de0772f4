import { EspalierError } from '@espalier/core';
import { checkCounts } from './check-counts.js';
import { checkDistinct } from './distinct.js';
import { parseLines } from './parse-lines.js';

/** Counts as a file holds them: by word where it names words, else in the order of word ids. */
export interface ParsedCounts {
  readonly words?: readonly string[];
  readonly counts: Float64Array;
}

/**
 * Reads word counts: a JSON array of counts; a JSON object `{ "word": count }`, or `{ "vocab": […],
 * "counts": […] }`; or text, a word and its count a line, in either order, with tabs or blanks
 * between (as `sort | uniq -c` writes it, too), or the counts alone, below a header or not. There are
 * no other columns; a word that holds blanks is parted from its count by a tab. Where words are numbers
 * themselves, the count comes last. Words keep the order of a text; an object that was parsed already
 * lost it where keys are whole numbers, so match its words with {@link countsFor}.
 *
 * @param input Text, or JSON parsed already.
 * @throws EspalierError `vocab-partition/parse`, with the line or the field; `vocab-partition/counts`.
 * @example
 * const { words, counts } = parseCounts('the\t50770\nof\t24000\n');
 */
export function parseCounts(input: unknown): ParsedCounts {
  if (typeof input !== 'string') return fromJson(input);
  const text = input.replace(/^\uFEFF/, '');
  if (text.includes('\0')) throw notText();
  if (!/^\s*[[{]/.test(text)) return parseLines(text);
  try {
    return fromJson(JSON.parse(text), text);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    if (beginsWithWord(text)) return parseLines(text);
    throw new EspalierError('vocab-partition/parse', {
      problem: `the counts look like JSON but cannot be parsed: ${cause.message}`,
      fix: 'Mend the file, or give a word and its count a line.',
      cause,
    });
  }
}

/** Whether the first line counts a word such as `[` or `{unk}`, and is no piece of JSON. */
function beginsWithWord(text: string): boolean {
  return /^\s*(?![[{]["\d-])\S+[ \t]+[\d.e+-]+[ \t]*(\r?\n|$)/i.test(text);
}

function fromJson(json: unknown, text?: string): ParsedCounts {
  if (Array.isArray(json)) return { counts: numbers(json, (i) => `[${i}]`) };
  if (typeof json !== 'object' || json === null) throw unknownForm(json);
  const { vocab, counts } = json as { vocab?: unknown; counts?: unknown };
  if (!Array.isArray(counts)) {
    const words = Object.keys(json);
    const parsed = numbers(Object.values(json), (i) => JSON.stringify(words[i]));
    if (text === undefined) return { words, counts: parsed };
    return restoreOrder(text, json as Readonly<Record<string, number>>);
  }
  const parsed = numbers(counts, (i) => `counts[${i}]`);
  return vocab === undefined
    ? { counts: parsed }
    : { words: words(vocab, parsed.length), counts: parsed };
}

/** JSON.parse puts keys that are whole numbers first, and keeps the last of equal ones only. */
function restoreOrder(text: string, counts: Readonly<Record<string, number>>): ParsedCounts {
  const keys = text.match(/"(?:[^"\\]|\\.)*"/g) ?? []; // all values are numbers
  const words = checkDistinct(
    keys.map((key) => JSON.parse(key) as string),
    (i) => `entry ${i + 1}`,
  );
  return { words, counts: Float64Array.from(words, (word) => counts[word]!) };
}

function numbers(values: readonly unknown[], place: (i: number) => string): Float64Array {
  const bad = values.findIndex((value) => typeof value !== 'number' || !(value >= 0));
  if (bad < 0) return checkCounts(values as number[]);
  throw new EspalierError('vocab-partition/parse', {
    problem: `${place(bad)} must be a count, a number of 0 or more`,
    received: values[bad],
    fix: 'Count how often each word occurs; 0 for words that never do.',
  });
}

function words(vocab: unknown, length: number): readonly string[] {
  const sound = Array.isArray(vocab) && vocab.every((word) => typeof word === 'string');
  if (sound && vocab.length === length) return checkDistinct(vocab, (i) => `vocab[${i}]`);
  throw new EspalierError('vocab-partition/parse', {
    problem: `'vocab' must hold ${length} words, one for each of 'counts'`,
    received: sound ? `${vocab.length} words` : vocab,
    fix: 'Give the word of each count, in the same order.',
  });
}

function notText(): EspalierError {
  return new EspalierError('vocab-partition/parse', {
    problem: 'the counts hold zero bytes: they are binary, or text in UTF-16',
    fix: 'Save them as text in UTF-8.',
  });
}

function unknownForm(json: unknown): EspalierError {
  return new EspalierError('vocab-partition/parse', {
    problem: 'counts must be an array, an object of counts by word, or text',
    received: json,
    fix: 'Give a word and its count a line.',
  });
}
