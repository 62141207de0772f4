import { EspalierError, sha256Hex } from '@espalier/base';
import type { FileEntry } from './manifest.js';
import { damagedError, wordsFile } from './manifest.js';

/** The file of words, and what the manifest says of it. */
export async function encodeWords(
  words: readonly string[],
): Promise<{ readonly entry: FileEntry; readonly bytes: Uint8Array }> {
  const bad = words.findIndex((word) => typeof word !== 'string' || /\p{Cs}/u.test(word));
  if (bad >= 0) {
    throw new EspalierError('artifact/content', {
      problem: `word ${bad} is no well-formed text`,
      received: words[bad],
      fix: 'Give one string for each row of the word matrix.',
    });
  }
  const bytes = new TextEncoder().encode(JSON.stringify(words));
  const sha256 = await sha256Hex(bytes);
  return { entry: { file: wordsFile(sha256), sha256, bytes: bytes.length }, bytes };
}

/** @throws EspalierError `artifact/damaged` on what is no list of words. */
export function decodeWords(file: string, bytes: Uint8Array): readonly string[] {
  const words = parse(bytes);
  const isList = Array.isArray(words) && words.every((word) => typeof word === 'string');
  if (isList) return words as readonly string[];
  throw damagedError(file, 'it is not a list of words');
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
