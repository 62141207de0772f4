import { EspalierError } from '@espalier/core';
import type { Plan } from './plan.js';

/** What to do about errors of plugins, as options of the command line. */
const FIXES: Readonly<Record<string, string>> = {
  'block-low-rank/nothing':
    'Name the layers: --layers a,b. Or leave low rank out: --preset quantize-only.',
  'block-low-rank/tied':
    '--tied share keeps one matrix for both, --tied split approximates them apart.',
  'prune/nothing': 'Name the layers: --layers a,b.',
  'quantizer/nothing': 'Name the layers: --layers a,b. Or leave codes out: --bits none.',
  'vocab-partition/blocks': 'Ask for fewer --blocks, or --blocks auto.',
  'vocab-partition/words':
    'Give one count for each row, in the order of the word ids; 0 for rows that stand for no word. Or name the layers whose rows are these words: --layers a,b.',
  'word-importance/counts': 'Name the layers whose rows are the counted words: --layers a,b.',
};

/** An error of a plugin in the terms of the command line: its options, and targets codes included. */
export function explainError(error: unknown, plan: Plan, tightness: number): unknown {
  if (!(error instanceof EspalierError)) return error;
  const { code, parts, place } = error;
  const fix = FIXES[code];
  if (fix !== undefined) return new EspalierError(code, { ...parts, fix }, place);
  return code === 'block-low-rank/budget' ? withCodes(error, plan, tightness) : error;
}

function withCodes({ code, parts, place }: EspalierError, { bits }: Plan, tightness: number) {
  const smaller = (bits / 32) * tightness;
  const problem = parts.problem
    .replace(/(?<=ratio is )[\d.]+/, (n) => `${Math.floor((100 * Number(n)) / smaller) / 100}`)
    .replace(/(?<=budget is |takes )\d+/g, (n) => `${Math.ceil(Number(n) * smaller)}`);
  const { fix, cause } = parts;
  return new EspalierError(code, { problem, ...(fix !== undefined && { fix }), cause }, place);
}
