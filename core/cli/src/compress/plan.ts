import { EspalierError, suggest } from '@espalier/core';
import type { Manifest, PluginEntries, PluginEntry } from '@espalier/core';
import { readTarget } from './flags.js';
import type { CompressFlags, Target } from './flags.js';

type Options = Readonly<Record<string, unknown>>;

/** Plugins that make matrices smaller as they are told, by a ratio or a budget. */
const SHRINKERS = ['block-low-rank', 'prune'];
const QUANTIZER = '@espalier/plugin-quantizer#quantizer';
const FACTORS: Readonly<Record<Target['kind'], string>> = {
  ratio: 'ratio',
  budget: 'budget',
  'max-error': 'maxError',
};

/** A preset as the command line changes it. */
export interface Plan {
  /** Of the preset's plugins, which are changed how; the target of them is still lacking. */
  readonly overrides: PluginEntries;
  /** The plugin that takes the target, if there is one. */
  readonly shrinker?: string;
  /** Bits of a number in the end. */
  readonly bits: number;
  readonly target?: Target;
  /** What the command line leaves out, in words. */
  readonly remarks: readonly string[];
}

/**
 * Lays the command line over a preset, whose plugins are known by their ids.
 *
 * @throws EspalierError `cli/compress` where a flag is for a plugin that the preset lacks.
 */
export function planCompression(
  { plugins }: Pick<Manifest, 'plugins'>,
  flags: CompressFlags,
  counts: Float64Array | undefined,
): Plan {
  const hasPlugin = (id: string) => Object.hasOwn(plugins, id);
  const shrinker = SHRINKERS.find(hasPlugin);
  const bits = flags.bits ?? (quantizerOptions(plugins, 'quantizer')['bits'] as number | undefined);
  const target = readTarget(flags);
  const takers = target?.kind === 'max-error' ? ['block-low-rank'] : SHRINKERS;
  if (target && !takers.some(hasPlugin)) throw missingPlugin(`--${target.kind}`, takers, plugins);
  if (flags.tied && !hasPlugin('block-low-rank'))
    throw missingPlugin('--tied', ['block-low-rank'], plugins);
  const byFrequency = frequencyEntries(plugins, flags, counts);
  const left = Object.keys(byFrequency).filter((id) => byFrequency[id] === false);
  const { layers, tied } = flags;
  const shrinks = { ...(layers && { layers }), ...(tied !== undefined && { tied }) };
  return {
    overrides: {
      ...byFrequency,
      ...(shrinker && { [shrinker]: { options: shrinks } }),
      ...quantizerEntry(flags, hasPlugin('quantizer'), shrinker !== undefined),
    },
    ...(shrinker && { shrinker, target: target ?? { kind: 'ratio', value: 8 } }),
    bits: typeof bits === 'number' ? bits : 32,
    remarks:
      left.length > 0
        ? [`Without --counts all words are alike: ${left.join(' and ')} left out of the preset.`]
        : [],
  };
}

/** The plan's entries with the target, made `tightness` times harder than asked. */
export function withTarget(
  { overrides, shrinker, target, bits }: Plan,
  tightness: number,
): PluginEntries {
  if (!shrinker || !target) return overrides;
  const shrinks = shrinker === 'block-low-rank' ? 32 / bits : 1; // what quantization will add
  const values: Readonly<Record<Target['kind'], number>> = {
    ratio: (target.value / shrinks) * tightness,
    budget: (target.value * shrinks) / tightness,
    'max-error': target.value / tightness,
  };
  if (target.kind === 'ratio' && target.value <= shrinks) throw reachedByBits(target.value, bits);
  const { options } = (overrides[shrinker] || {}) as PluginEntry;
  const own = { ...options, [FACTORS[target.kind]]: values[target.kind] };
  return { ...overrides, [shrinker]: { options: own } };
}

function frequencyEntries(
  plugins: Manifest['plugins'],
  { blocks }: CompressFlags,
  counts: Float64Array | undefined,
): PluginEntries {
  const partitioned = Object.hasOwn(plugins, 'vocab-partition');
  if (blocks !== undefined && !partitioned)
    throw missingPlugin('--blocks', ['vocab-partition'], plugins);
  const cut = blocks === undefined ? {} : { blocks };
  if (counts && partitioned) {
    return { 'vocab-partition': { options: { counts: [...counts], ...cut } } };
  }
  if (quantizerOptions(plugins, 'vocab-partition')['counts'] !== 'observe') {
    return partitioned && blocks !== undefined ? { 'vocab-partition': { options: cut } } : {};
  }
  if (blocks !== undefined) {
    throw new EspalierError('cli/compress', {
      problem: '--blocks cuts the vocabulary by word frequency, and there are no counts',
      fix: 'Add --counts FILE.',
    });
  }
  const weighs = String(quantizerOptions(plugins, 'word-importance')['rows']).endsWith('counts');
  return { 'vocab-partition': false, ...(weighs && { 'word-importance': false as const }) };
}

function quantizerEntry(
  { bits, layers }: CompressFlags,
  has: boolean,
  afterShrinker: boolean,
): PluginEntries {
  if (bits === 'none') return has ? { quantizer: false } : {};
  if (!has && bits === undefined) return {};
  const options = {
    ...(bits !== undefined && { bits }),
    // Where layers were made smaller first, one of them may share another's matrix and have none.
    ...(layers &&
      (afterShrinker ? { matrices: keepKnownOptions(layers), minimumSize: 0 } : { layers })),
  };
  return { quantizer: { ...(!has && { use: QUANTIZER }), options } };
}

function keepKnownOptions(layers: readonly string[]): Options {
  return Object.fromEntries([['*', false], ...layers.map((name) => [`${name}/*`, {}])]);
}

function quantizerOptions(plugins: Manifest['plugins'], id: string): Options {
  return (plugins[id]?.options ?? {}) as Options;
}

function missingPlugin(flag: string, ids: readonly string[], plugins: object): EspalierError {
  const has = Object.keys(plugins);
  return new EspalierError('cli/compress', {
    problem: `${flag} sets an option of ${ids.join(' or ')}, which the preset does not have`,
    received: has,
    fix: `Leave ${flag} out, or choose another --preset. ${suggest(ids[0]!, has)}`.trim(),
  });
}

function reachedByBits(ratio: number, bits: number): EspalierError {
  return new EspalierError('cli/compress', {
    problem: `codes of ${bits} bits alone make matrices ${32 / bits} times smaller`,
    received: `--ratio ${ratio}`,
    fix: 'Ask for a higher ratio, or leave low rank out with --preset quantize-only, or codes with --bits none.',
  });
}
