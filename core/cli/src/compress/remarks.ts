import { sumBytes } from '@espalier/compress';
import type { CompressedFile } from '@espalier/compress/node';

/** What the user should know about a result, in sentences. */
export function listRemarks(result: CompressedFile): string[] {
  const { compressed, counts, rest } = result;
  const { tensors } = rest;
  const { leftOut, steps } = compressed;
  const byOrder = leftOut.length > 0 && steps.some(({ plugin }) => plugin === 'block-codes');
  const codes = tensors.filter(({ isFloat, shape }) => !isFloat && shape.length > 1);
  const dtypes = [...new Set(codes.map(({ dtype }) => dtype))];
  return [
    ...(byOrder
      ? [
          'Without --counts, rows are taken in the order of their file: the first as the most frequent word, by the law of Zipf. If that is wrong: --objective uniform.',
        ]
      : []),
    ...(leftOut.length > 0 && !byOrder
      ? [`Without --counts all words are alike: ${leftOut.join(' and ')} left out of the preset.`]
      : []),
    ...(counts === 'in the order of the words'
      ? ['The counts were read in the order of their file: its first word is row 0.']
      : []),
    ...describeMatched(result),
    ...describeHalves(result),
    ...(tensors.length > 0
      ? [
          `${tensors.length} tensors belong to no module that can be compressed. They are in rest.safetensors, unchanged: ${shortenList(tensors.map(({ name }) => name))}.`,
        ]
      : []),
    ...(codes.length > 0
      ? [
          `${codes.length} of them hold codes, not numbers (${shortenList(dtypes)}): packed tensors are not compressed again.`,
        ]
      : []),
  ];
}

function describeMatched({ matched }: CompressedFile): string[] {
  if (!matched) return [];
  const { counted, rows, unknown } = matched;
  return [
    `Counts were matched by word: ${counted} of ${rows} words have one; ${unknown} counted words are not in the input.`,
  ];
}

/** Ratios are told against float32, whatever the input is in. */
function describeHalves(result: CompressedFile): string[] {
  if (result.elementBytes === 4) return [];
  const { before, after } = sumBytes(result).matrices;
  const ratio = (before / after).toFixed(2);
  return [
    `Numbers of the input take 2 bytes: its matrices become ${(before / after / 2).toFixed(2)} times smaller than in their file, ${ratio} times smaller than in float32, which ratios are told against.`,
  ];
}

function shortenList(names: readonly string[]): string {
  const more = names.length > 5 ? `, … (${names.length - 5} more)` : '';
  return `${names.slice(0, 5).join(', ')}${more}`;
}
