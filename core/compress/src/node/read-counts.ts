import { readFile } from 'node:fs/promises';
import { EspalierError, fileError, loadExport } from '@espalier/core';
import type { ResolveOptions } from '@espalier/core';
import { invalidWordIds, notUtf8 } from './errors.js';

/** How often words occur. */
export interface WordCounts {
  /** By word id. */
  readonly counts: Float64Array;
  /** The words, where the file contains them. Their order in the file is that of the ids. */
  readonly words?: readonly string[];
}

const PARSER = '@espalier/plugin-vocab-partition#parseCounts';

/**
 * Reads word counts: a JSON list, or a text with a count or a word and its count in each line. Where every word
 * is a number, the words are ids and can be in any order.
 *
 * @param from Where `@espalier/plugin-vocab-partition`, which has the parser, is imported from.
 * @throws EspalierError `compress/counts` for a file that cannot be read, is not UTF-8, or has ids that are not
 * 0, 1, …; `vocab-partition/…` for its content.
 * @example
 * const { counts } = await readCounts('counts.tsv');
 */
export async function readCounts(
  path: string,
  from: Pick<ResolveOptions, 'load' | 'modules'> = {},
): Promise<WordCounts> {
  const parse = (await loadExport(PARSER, from)) as (text: string) => WordCounts;
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw fileError('compress/counts', `cannot read the counts in ${path}`, cause);
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
    throw notUtf8(findInvalidLine(bytes), cause);
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
function sortByWordId({ counts, words }: WordCounts): WordCounts {
  if (!words?.every((word) => /^[+-]?(?:\d+|\d*\.\d+)$/.test(word))) return { counts, words };
  const byId = new Float64Array(counts.length).fill(NaN);
  words.forEach((word, i) => {
    if (/^\d+$/.test(word) && Number(word) < counts.length) byId[Number(word)] = counts[i]!;
    else throw invalidWordIds(`'${word}'`, counts.length);
  });
  const missing = byId.findIndex(Number.isNaN);
  if (missing >= 0) throw invalidWordIds(`no id ${missing}`, counts.length);
  return { counts: byId };
}
