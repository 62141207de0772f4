import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeAll, END } from './corpus.js';
import type { Corpus } from './corpus.js';

/**
 * The Penn Treebank as Mikolov prepared it, from `ptb/ptb.{train,valid,test}.txt` in a folder, with
 * the ids of `ptb-lstm/vocab.json` (`{ vocab, counts }`) beside it.
 */
export function loadPennTreebank(folder: string): Corpus {
  const { vocab, counts } = JSON.parse(
    readFileSync(join(folder, 'ptb-lstm', 'vocab.json'), 'utf8'),
  ) as { readonly vocab: readonly string[]; readonly counts: readonly number[] };
  const words = (split: string) =>
    readFileSync(join(folder, 'ptb', `ptb.${split}.txt`), 'utf8')
      .trimEnd()
      .split('\n')
      .flatMap((line) => [...line.trim().split(/\s+/), END]);
  const split = { train: words('train'), validation: words('valid'), test: words('test') };
  return { vocab, counts: Float64Array.from(counts), ...encodeAll(split, vocab) };
}
