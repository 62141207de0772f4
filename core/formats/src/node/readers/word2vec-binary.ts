import { isUtf8 } from 'node:buffer';
import { EspalierError } from '@espalier/base';
import { shorten, wordError } from '../../text/word-error.js';
import { readStart } from '../files/byte-source.js';
import type { ByteSource } from '../files/byte-source.js';
import { byName } from '../files/matrix-file.js';
import type { MatrixContent, OnProgress } from '../files/matrix-file.js';
import { readRecords } from '../files/records.js';
import type { FindRecord, VectorRecord } from '../files/records.js';
import { indexVectors } from '../files/word-vectors.js';

const [SPACE, NEWLINE] = [0x20, 0x0a];
const TEXT_CONTROLS = [0x09, NEWLINE, 0x0d];
const WIDTH = 4; // bytes of a number
const LONGEST_WORD = 2 ** 16;
const LONGEST_HEADER = 64;

/** What the first line of a file of word2vec says. */
export interface BinaryLayout {
  readonly columns: number;
  readonly claimed: number;
  /** Byte of the first vector. */
  readonly from: number;
}

/**
 * Reads the first line of a binary file of word2vec, `341479 100`.
 *
 * @returns `undefined` where it is none.
 */
export async function readBinaryLayout(source: ByteSource): Promise<BinaryLayout | undefined> {
  const start = Buffer.from(await readStart(source, LONGEST_HEADER));
  const [line, claimed, columns] = /^(\d+) (\d+)\r?\n/.exec(start.toString('latin1')) ?? [];
  if (line === undefined) return undefined;
  return { claimed: Number(claimed), columns: Number(columns), from: line.length };
}

/**
 * The binary format of word2vec: in each record a word, a blank, and the numbers as little-endian float32. The
 * original program ends records by a newline, others do not.
 */
export async function readWord2vecBinary(
  source: ByteSource,
  name: string,
  layout: BinaryLayout,
  onProgress?: OnProgress,
): Promise<MatrixContent> {
  const { columns, claimed, from } = layout;
  checkHeader(layout, source.size);
  const size = columns * WIDTH;
  const find: FindRecord = (bytes, at, isLast) => {
    const begin = bytes[at] === NEWLINE ? at + 1 : at;
    if (begin === bytes.length && isLast) return undefined; // the last newline
    const blank = bytes.indexOf(SPACE, begin);
    const end = blank + 1 + size;
    if (blank >= 0 && end <= bytes.length) return { begin, end, next: end };
    return isLast ? { begin, end: bytes.length, next: bytes.length } : undefined;
  };
  const numbers = new Uint8Array(size);
  const values = new Float32Array(numbers.buffer);
  const { tensor, words } = await indexVectors(
    {
      name,
      columns,
      claimed,
      range: { from, to: source.size },
      read: (range) => readRecords(source, range, find, { longest: LONGEST_WORD + size, refuse }),
      findWordEnd,
      parse({ bytes, begin, end }, out, to) {
        const blank = end - size - 1;
        if (blank <= begin || bytes[blank] !== SPACE) return false;
        numbers.set(bytes.subarray(blank + 1, end));
        out.set(values, to);
        return values.every(Number.isFinite);
      },
      locate: (row, at) => ({ vector: row + 1, byte: at }),
      diagnose: (record, place) => {
        const { bytes, begin, end } = record;
        const word = bytes.toString('utf8', begin, findWordEnd(record));
        const refused = (problem: string, fix: string) => wordError(place, problem, fix, word);
        const whole = end - findWordEnd(record) - 1 === size;
        if (!whole) return refused('is cut short', 'Take another copy of the file.');
        if (word === '') return refused('has no word', 'Write the file again.');
        const bad = values.findIndex((value) => !Number.isFinite(value));
        return refused(
          `has ${values[bad]} as number ${bad + 1} of '${shorten(word)}'`,
          'Vectors hold finite numbers: write the file again without this word.',
        );
      },
    },
    onProgress,
  );
  return { format: 'word2vec binary', tensors: byName([tensor]), words };
}

function findWordEnd({ bytes, begin, end }: VectorRecord): number {
  const blank = bytes.indexOf(SPACE, begin);
  return blank < 0 || blank > end ? end : blank;
}

function checkHeader({ columns, claimed, from }: BinaryLayout, size: number): void {
  const least = claimed * (2 + columns * WIDTH);
  if (columns > 0 && least <= size - from) return;
  throw wordError(
    { line: 1 },
    `claims ${claimed} vectors of ${columns} numbers, which the ${size} bytes of the file cannot hold`,
    'Take another copy of the file (cut short?).',
  );
}

function refuse(at: number): EspalierError {
  return new EspalierError('matrices/format', {
    problem: `the record that begins at byte ${at} has no word of less than ${LONGEST_WORD} bytes`,
    fix: 'Take another copy of the file, or write it again.',
  });
}

/** Whether what follows the first line is no text: the first line of a text is a word and numbers. */
export function isBinary(start: Uint8Array, { from }: BinaryLayout): boolean {
  const rest = Buffer.from(start).subarray(from);
  const stop = rest.indexOf(NEWLINE);
  const line = rest.toString('latin1', 0, stop < 0 ? rest.length : stop);
  if (/^[^ \t]*[ \t][-+.\deE \t]*\r?$/.test(line)) return false;
  const lines = rest.subarray(0, rest.lastIndexOf(NEWLINE) + 1);
  return rest.some((byte) => byte < SPACE && !TEXT_CONTROLS.includes(byte)) || !isUtf8(lines);
}
