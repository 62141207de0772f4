import { EspalierError } from '@espalier/base';
import { diagnoseLine, isNotFinite, isNumber, splitLine } from '../../text/diagnose-line.js';
import { isBlank, parseNumbers } from '../../text/parse-numbers.js';
import { wordError } from '../../text/word-error.js';
import { readStart } from '../files/byte-source.js';
import type { ByteSource } from '../files/byte-source.js';
import { byName } from '../files/matrix-file.js';
import type { MatrixContent, OnProgress } from '../files/matrix-file.js';
import { readRecords } from '../files/records.js';
import type { FindRecord, VectorRecord } from '../files/records.js';
import { indexVectors } from '../files/word-vectors.js';

const [NEWLINE, RETURN] = [0x0a, 0x0d];
const LONGEST_LINE = 2 ** 24;
const FEWEST_BYTES = 4; // of a line: a letter, a blank, a digit and the end of the line

/** What the first lines of a text of vectors say. */
export interface TextLayout {
  readonly columns: number;
  /** Byte of the first vector. */
  readonly from: number;
  /** How many words the header claims; absent where there is no header. */
  readonly claimed?: number;
}

/**
 * Reads the first line of a text: `341479 100`, the header of word2vec, or a word and its vector, as in
 * GloVe's files.
 *
 * @returns `undefined` where it is neither.
 */
export async function readTextLayout(source: ByteSource): Promise<TextLayout | undefined> {
  const start = Buffer.from(await readStart(source, LONGEST_LINE));
  const mark = start.subarray(0, 3).equals(Buffer.of(0xef, 0xbb, 0xbf)) ? 3 : 0;
  const found = findLine(start, mark, start.length === source.size);
  if (!found) return undefined;
  const [word, ...numbers] = splitLine(start.toString('utf8', mark, found.end));
  if (/^\d+$/.test(word!) && numbers.length === 1 && /^\d+$/.test(numbers[0]!)) {
    return readHeader(source, Number(word), Number(numbers[0]), found.next);
  }
  const last = numbers.at(-1);
  if (last === undefined || !(isNumber(last) || isNotFinite(last))) return undefined;
  return { columns: countColumns(word!, numbers), from: mark };
}

/** A text of vectors, with the header of word2vec or without one. */
export async function readVectorText(
  source: ByteSource,
  name: string,
  { columns, from, claimed }: TextLayout,
  onProgress?: OnProgress,
): Promise<MatrixContent> {
  const firstLine = claimed === undefined ? 1 : 2;
  const { tensor, words } = await indexVectors(
    {
      name,
      columns,
      range: { from, to: source.size },
      ...(claimed !== undefined && { claimed }),
      read: (range) => readRecords(source, range, findLine, LIMIT),
      findWordEnd,
      parse: (record, out, to) => {
        const word = findWordEnd(record);
        if (word === record.begin) return false;
        return parseNumbers(record.bytes, word, record.end, out, to, columns);
      },
      locate: (row) => ({ line: row + firstLine }),
      diagnose: ({ bytes, begin, end }, place) =>
        diagnoseLine(bytes.toString('utf8', begin, end), place, columns),
    },
    onProgress,
  );
  const format = claimed === undefined ? 'GloVe text' : 'word2vec text';
  return { format, tensors: byName([tensor]), words };
}

const findLine: FindRecord = (bytes, begin, isLast) => {
  const stop = bytes.indexOf(NEWLINE, begin);
  if (stop < 0 && !isLast) return undefined;
  const next = stop < 0 ? bytes.length : stop + 1;
  const last = stop < 0 ? bytes.length : stop;
  return { begin, end: last > begin && bytes[last - 1] === RETURN ? last - 1 : last, next };
};

const LIMIT = {
  longest: LONGEST_LINE,
  refuse: (at: number) =>
    new EspalierError('matrices/format', {
      problem: `the line that begins at byte ${at} does not end within ${LONGEST_LINE / 2 ** 20} MiB`,
      fix: 'Give a text with one word and its vector in each line.',
    }),
};

function findWordEnd({ bytes, begin, end }: VectorRecord): number {
  let at = begin;
  while (at < end && !isBlank(bytes[at]!)) at++;
  return at;
}

function readHeader(
  source: ByteSource,
  claimed: number,
  columns: number,
  from: number,
): TextLayout {
  const most = (source.size - from + 1) / (FEWEST_BYTES + 2 * (columns - 1));
  if (columns > 0 && claimed <= most) return { columns, from, claimed };
  throw wordError(
    { line: 1 },
    `claims ${claimed} vectors of ${columns} numbers, which the ${source.size} bytes of the file cannot hold`,
    'Correct the first line, or delete it: the length of the vectors is then that of the first one.',
  );
}

/** One number for each word is how counts are written. */
function countColumns(word: string, numbers: readonly string[]): number {
  const blanks = numbers.findLastIndex((token) => !isNumber(token) && !isNotFinite(token)) + 1;
  if (numbers.length - blanks > 1) return numbers.length - blanks;
  throw new EspalierError('matrices/format', {
    problem: `its first line has one number for '${word}': these look like counts, not like vectors`,
    fix: 'Give counts as the counts. Vectors of one number need the header of word2vec: a first line such as «5000 1».',
  });
}
