import { readFile } from 'node:fs/promises';
import type { Modules } from '@espalier/config';
import { EspalierError, fileError, loadExport } from '@espalier/core';

/** Word counts in the order of the word ids. */
export interface Counts {
  readonly counts: Float64Array;
  /** The words, where the file names them; then its order has to be that of the ids. */
  readonly words?: readonly string[];
}

const PARSER = '@espalier/plugin-vocab-partition#parseCounts';

/**
 * @throws EspalierError `cli/counts` when the file cannot be read, is not UTF-8, or counts ids that are
 * not those of a vocabulary; `vocab-partition/…`.
 */
export async function readCounts(path: string, { load }: Modules): Promise<Counts> {
  const parse = (await loadExport(PARSER, { load })) as (text: string) => Counts;
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw fileError('cli/counts', `cannot read the counts in ${path}`, cause);
  });
  try {
    return sortByWordId(parse(decodeText(bytes)));
  } catch (error) {
    throw error instanceof EspalierError ? error.withPrefix(path) : error;
  }
}

function decodeText(bytes: Uint8Array): string {
  try {
    return decodeUtf8(bytes);
  } catch (cause) {
    throw new EspalierError('cli/counts', {
      problem: `line ${findInvalidLine(bytes)} is not text in UTF-8`,
      fix: 'Save the counts in UTF-8: words in another encoding match no vocabulary.',
      cause,
    });
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
}

function findInvalidLine(bytes: Uint8Array): number {
  for (let line = 1, start = 0; ; line += 1) {
    const end = bytes.indexOf(0x0a, start);
    try {
      decodeUtf8(bytes.subarray(start, end < 0 ? bytes.length : end));
    } catch {
      return line;
    }
    start = end + 1;
  }
}

/** Where every word is a number, they are ids: each from 0 on must be there once. */
function sortByWordId({ counts, words }: Counts): Counts {
  if (!words?.every((word) => /^[+-]?\d*\.?\d+$/.test(word))) return { counts, words };
  const byId = new Float64Array(counts.length).fill(NaN);
  words.forEach((word, i) => {
    if (/^\d+$/.test(word) && Number(word) < counts.length) byId[Number(word)] = counts[i]!;
    else throw invalidWordIds(`'${word}'`, counts.length);
  });
  const missing = byId.findIndex(Number.isNaN);
  if (missing >= 0) throw invalidWordIds(`no id ${missing}`, counts.length);
  return { counts: byId };
}

function invalidWordIds(received: string, length: number): EspalierError {
  return new EspalierError('cli/counts', {
    problem: `all ${length} words are numbers, so they are taken for word ids, which must be 0 to ${length - 1}, each once`,
    received,
    fix: 'Give every id, with 0 for words that never occur, or the counts alone in the order of the ids.',
  });
}
