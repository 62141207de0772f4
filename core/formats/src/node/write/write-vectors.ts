import { EspalierError } from '@espalier/base';
import { shorten } from '../../text/word-error.js';
import { readGroups, writeFileWhole } from './write-file.js';
import type { RowSource, WriteOptions } from './write-file.js';

/**
 * Writes a matrix and its words as the text of word2vec and fastText (`.vec`): a first line `words columns`, then a
 * word and its numbers in each line. Numbers have as few digits as give them back bit for bit. A kill or a full disk
 * leaves the old file or the new one.
 *
 * @param words One for each row.
 * @throws EspalierError `matrices/vec` on words that the format cannot hold (blanks, none, one twice), on another
 * number of words than rows, and on numbers that are not finite; `matrices/write` with the error of the system.
 * @example
 * const file = await openMatrices('vectors.bin');
 * for (const matrix of file.tensors.values()) await writeVectors('vectors.vec', matrix, file.words);
 */
export async function writeVectors(
  path: string,
  matrix: RowSource,
  words: readonly string[],
  options: WriteOptions = {},
): Promise<void> {
  checkWords(matrix, words);
  await writeFileWhole(path, encode(matrix, words, options), options);
}

async function* encode(
  matrix: RowSource,
  words: readonly string[],
  { onProgress }: WriteOptions,
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  const columns = matrix.shape[1]!;
  yield encoder.encode(`${words.length} ${columns}\n`);
  for await (const { values, begin, end } of readGroups(matrix, onProgress)) {
    const lines: string[] = [];
    for (let row = begin; row < end; row++) {
      const at = (row - begin) * columns;
      const vector = values.subarray(at, at + columns);
      if (!vector.every(Number.isFinite)) {
        const word = `the vector of '${shorten(words[row]!)}' has numbers that are not finite`;
        throw vecError(
          word,
          [...vector].find((value) => !Number.isFinite(value)),
        );
      }
      lines.push(`${words[row]!} ${Array.from(vector, formatNumber).join(' ')}\n`);
    }
    yield encoder.encode(lines.join(''));
  }
}

/** Six to nine digits tell every float32 from its neighbours. */
function formatNumber(value: number): string {
  if (Object.is(value, -0)) return '-0';
  for (let digits = 7; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}

function checkWords({ name, shape }: RowSource, words: readonly string[]): void {
  if (shape.length !== 2 || shape[1] === 0)
    throw vecError(`'${name}' is no matrix of vectors`, shape);
  if (words.length !== shape[0])
    throw vecError(
      `there must be one word for each of the ${shape[0]} rows`,
      `${words.length} words`,
    );
  const known = new Set<string>();
  words.forEach((word, row) => {
    if (word === '' || /[ \t\r\n]/.test(word))
      throw vecError(`word ${row} is empty or has a blank in it`, word);
    if (known.has(word)) throw vecError(`word ${row} is there twice`, word);
    known.add(word);
  });
}

function vecError(problem: string, received: unknown): EspalierError {
  return new EspalierError('matrices/vec', {
    problem: `a text of vectors cannot hold this: ${problem}`,
    received,
    fix: 'Give other words, or write .npy or safetensors, which hold the matrix alone.',
  });
}
