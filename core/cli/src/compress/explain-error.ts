import { EspalierError } from '@espalier/core';
import type { ErrorParts } from '@espalier/core';

type Texts = Pick<ErrorParts, 'problem' | 'fix' | 'received'>;
type Explain = (parts: ErrorParts) => Partial<Texts>;

/** Options of `@espalier/compress` as flags. */
const FLAGS: Readonly<Record<string, string>> = { maxError: '--max-error' };
const LAYERS = 'Name the layers: --layers a,b.';

/** Texts that name flags of the command line, by the code of the error. */
const EXPLAIN: Readonly<Record<string, Explain>> = {
  'compress/no-plugin': explainMissingPlugin,
  'compress/no-counts': () => ({
    problem: '--blocks divides the vocabulary by word frequency, and there are no counts',
    fix: 'Add --counts FILE.',
  }),
  'compress/reached-by-bits': () => ({
    fix: 'Ask for a higher --ratio, or leave low rank out with --preset quantize-only, or codes with --bits none.',
  }),
  'compress/missed-target': () => ({
    fix: 'Set a target that is easier to reach, or choose more --bits.',
  }),
  'compress/output': ({ fix }) => (fix === undefined ? {} : { fix: `${fix} The option is --out.` }),
  'compress/dense': ({ fix }) => ({ fix: `${fix} The options are --out, --words and --layers.` }),
  'block-low-rank/nothing': () => ({
    fix: `${LAYERS} Or leave low rank out: --preset quantize-only.`,
  }),
  'block-low-rank/tied': () => ({
    fix: '--tied share keeps one matrix for both, --tied split approximates each of them.',
  }),
  'prune/nothing': () => ({ fix: LAYERS }),
  'quantizer/nothing': () => ({ fix: `${LAYERS} Or leave codes out: --bits none.` }),
  'vocab-partition/blocks': () => ({ fix: 'Ask for fewer --blocks, or --blocks auto.' }),
  'vocab-partition/words': () => ({
    fix: 'Give one count for each row, in the order of the word ids; 0 for rows that stand for no word. Or name the layers whose rows are these words: --layers a,b.',
  }),
  'word-importance/counts': () => ({
    fix: 'Name the layers whose rows are the counted words: --layers a,b.',
  }),
};

/** The same error with flags of the command line in its texts. */
export function explainError(error: unknown): unknown {
  if (!(error instanceof EspalierError)) return error;
  const { code, parts, place } = error;
  const texts = EXPLAIN[code]?.(parts);
  return texts ? new EspalierError(code, { ...parts, ...texts }, place) : error;
}

function explainMissingPlugin({ details }: ErrorParts): Partial<Texts> {
  const { option, plugins } = details as { option: string; plugins: readonly string[] };
  const flag = FLAGS[option] ?? `--${option}`;
  return {
    problem: `${flag} sets an option of ${plugins.join(' or ')}, which the preset does not have`,
    fix: `Leave ${flag} out, or choose another --preset.`,
  };
}
