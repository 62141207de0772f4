import { EspalierError, suggest } from '@espalier/core';
import type { Target } from './target.js';

/** An option that sets an option of a plugin. `details`: `{ option, plugins }`. */
export function missingPlugin(
  option: string,
  plugins: readonly string[],
  preset: object,
): EspalierError {
  const received = Object.keys(preset);
  return new EspalierError('compress/no-plugin', {
    problem: `'${option}' sets an option of ${plugins.join(' or ')}, which the preset does not have`,
    received,
    fix: `Leave '${option}' out, or choose another preset. ${suggest(plugins[0]!, received)}`.trim(),
    details: { option, plugins, preset: received },
  });
}

export function missingCounts(): EspalierError {
  return new EspalierError('compress/no-counts', {
    problem: "'blocks' divides the vocabulary by word frequency, and there are no counts",
    fix: 'Give counts too.',
  });
}

/** `details`: `{ bits, ratio }`, the ratio that the codes reach by themselves. */
export function reachedByBits(ratio: number, bits: number): EspalierError {
  return new EspalierError('compress/reached-by-bits', {
    problem: `codes of ${bits} bits alone make matrices ${32 / bits} times smaller`,
    received: { ratio },
    fix: "Ask for a higher ratio, use a preset that only quantizes, or set bits: 'none'.",
    details: { bits, ratio: 32 / bits },
  });
}

/** `details`: `{ attempts, option, bits }`. */
export function missedTarget(attempts: number, { option, value }: Target, bits: number) {
  return new EspalierError('compress/missed-target', {
    problem: `none of ${attempts} attempts reached the target: codes of ${bits} bits alone may miss it`,
    received: { [option]: value },
    fix: 'Set a target that is easier to reach, or more bits.',
    details: { attempts, option, bits },
  });
}
