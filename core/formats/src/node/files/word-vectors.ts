import type { EspalierError } from '@espalier/base';
import type { HostTensor } from '@espalier/checkpoint';
import { shorten, wordError } from '../../text/word-error.js';
import type { Place } from '../../text/word-error.js';
import { checkRows } from './matrix-file.js';
import type { FileTensor, OnProgress } from './matrix-file.js';
import type { RecordRange, VectorRecord } from './records.js';

/** A file of words and their vectors, one record for each. */
export interface VectorFile {
  /** Name of its matrix. */
  readonly name: string;
  /** Numbers of a vector. */
  readonly columns: number;
  /** Bytes of the source that the records take. */
  readonly range: RecordRange;
  /** How many words the file claims. */
  readonly claimed?: number;
  read(range: RecordRange): AsyncIterable<readonly VectorRecord[]>;
  /** Byte behind the word of a record. */
  findWordEnd(record: VectorRecord): number;
  /** Puts the numbers of a record into `out`, from `to` on; `false` where they are not sound. */
  parse(record: VectorRecord, out: Float32Array, to: number): boolean;
  /** Where record `row` is. */
  locate(row: number, at: number): Place;
  /** What is wrong with a record that is not sound. */
  diagnose(record: VectorRecord, place: Place): EspalierError;
}

/** The place of every so-many-th record is remembered. */
const STEP = 512;
/** A `Set` holds at most so many. */
const MOST_WORDS = 2 ** 24 - 1;
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads all records once, so that everything is checked: words are sound, different and as many as claimed;
 * numbers are finite and as many as in the others. Numbers are not kept: rows are read again where they are
 * needed.
 */
export async function indexVectors(
  file: VectorFile,
  onProgress?: OnProgress,
): Promise<{ readonly tensor: FileTensor; readonly words: readonly string[] }> {
  const words: string[] = [];
  const known = new Set<string>();
  const places: number[] = [];
  const vector = new Float32Array(file.columns);
  for await (const records of file.read(file.range)) {
    for (const record of records) {
      const row = words.length;
      if (row % STEP === 0) places.push(record.at);
      if (!file.parse(record, vector, 0)) throw diagnose(file, record, row);
      words.push(addWord(file, record, words, known));
    }
    const last = records.at(-1);
    if (last) onProgress?.({ done: last.at, total: file.range.to });
  }
  checkCount(file, words);
  return { tensor: makeTensor(file, words.length, places), words };
}

function addWord(
  file: VectorFile,
  record: VectorRecord,
  words: readonly string[],
  known: Set<string>,
): string {
  const word = readWord(file, record, words.length);
  if (known.has(word)) {
    const first = file.locate(words.indexOf(word), 0);
    const before = 'line' in first ? `line ${first.line}` : `vector ${first.vector}`;
    throw wordErrorAt(
      file,
      record,
      words.length,
      `has the word '${shorten(word)}' again, after ${before}`,
      'Each word has one vector: delete one of them.',
      word,
    );
  }
  if (known.size === MOST_WORDS) {
    throw wordErrorAt(
      file,
      record,
      words.length,
      `is beyond the ${MOST_WORDS} words that are read with their names`,
      'Split the file, or save the matrix with numpy.save.',
    );
  }
  known.add(word);
  return word;
}

function readWord(file: VectorFile, record: VectorRecord, row: number): string {
  const { bytes, begin } = record;
  const end = file.findWordEnd(record);
  const word = bytes.toString('utf8', begin, end);
  if (!word.includes('\ufffd')) return word;
  try {
    return strict.decode(bytes.subarray(begin, end));
  } catch {
    throw wordErrorAt(
      file,
      record,
      row,
      `has a word that is not UTF-8: '${shorten(word)}'`,
      'Save the words in UTF-8, or delete this one.',
    );
  }
}

function checkCount({ claimed, locate, range }: VectorFile, words: readonly string[]): void {
  if (claimed === undefined || claimed === words.length) return;
  throw wordError(
    locate(words.length, range.to),
    `is the end of the file: its header claims ${claimed} words, and it has ${words.length} (cut short?)`,
    'Take another copy of the file, or correct its first line.',
  );
}

function makeTensor(file: VectorFile, rows: number, places: readonly number[]): FileTensor {
  const { name, columns } = file;
  const shape = [rows, columns];
  const readRows = async (begin: number, end: number): Promise<Float32Array> => {
    checkRows({ name, shape }, begin, end);
    const out = new Float32Array((end - begin) * columns);
    if (begin === end) return out;
    const first = Math.floor(begin / STEP);
    const range = {
      from: places[first]!,
      to: places[Math.ceil(end / STEP)] ?? file.range.to,
    };
    let row = first * STEP;
    for await (const records of file.read(range)) {
      for (const record of records) {
        if (row >= begin && row < end && !file.parse(record, out, (row - begin) * columns))
          throw diagnose(file, record, row);
        row += 1;
      }
    }
    return out;
  };
  const readBits = async (begin: number, end: number): Promise<HostTensor> => {
    const data = await readRows(begin, end);
    return { dtype: 'F32', shape: [end - begin, columns], data };
  };
  return { name, dtype: 'F32', shape, readRows, readBits };
}

function diagnose(file: VectorFile, record: VectorRecord, row: number): EspalierError {
  return file.diagnose(record, file.locate(row, record.at));
}

function wordErrorAt(
  file: VectorFile,
  record: VectorRecord,
  row: number,
  problem: string,
  fix: string,
  word?: string,
): EspalierError {
  return wordError(file.locate(row, record.at), problem, fix, word);
}
