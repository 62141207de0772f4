import type { Manifest, PluginEntries, PluginEntry } from '@espalier/core';
import { missingCounts, missingPlugin, reachedByBits } from './errors.js';
import type { CompressOptions } from './options.js';
import { readTarget } from './target.js';
import type { Target } from './target.js';

type Options = Readonly<Record<string, unknown>>;
type Plugins = Manifest['plugins'];

/** Plugins that make matrices smaller by a given ratio or to a given budget, of which a preset has one. */
const SHRINKERS = ['block-low-rank', 'prune', 'block-codes'];
/** Those of them that keep an error, and that share what tied matrices have in common. */
const IN_BLOCKS = ['block-low-rank', 'block-codes'];
const QUANTIZER = '@espalier/plugin-quantizer#quantizer';

/** A preset as the options change it. */
export interface Plan {
  /** Changes of the preset's plugins, without the target. */
  readonly overrides: PluginEntries;
  /** The plugin that takes the target, if the preset has one. */
  readonly shrinker?: string;
  /** Bits of a number in the result. */
  readonly bits: number;
  readonly target?: Target;
  /** Plugins of the preset that are left out because they need word counts. */
  readonly leftOut: readonly string[];
  /** Whether an embedding is coded row by row, so that it need not be in memory. */
  streams(embedding: {
    readonly layer: string;
    readonly rows: number;
    readonly columns: number;
  }): boolean;
  /** Tells the preset from others. */
  readonly presetHash: string;
}

/**
 * Applies the options to a preset, whose plugins are recognized by their ids.
 *
 * @throws EspalierError `compress/no-plugin`, `compress/no-counts`.
 */
export function planCompression(
  { plugins, hash }: Pick<Manifest, 'hash' | 'plugins'>,
  options: CompressOptions,
): Plan {
  const hasPlugin = (id: string) => Object.hasOwn(plugins, id);
  const target = readTarget(options);
  const takers = target?.option === 'maxError' ? IN_BLOCKS : SHRINKERS;
  if (target && !takers.some(hasPlugin)) throw missingPlugin(target.option, takers, plugins);
  if (options.tied && !IN_BLOCKS.some(hasPlugin)) throw missingPlugin('tied', IN_BLOCKS, plugins);
  refuseOptions(plugins, options);
  const shrinker = SHRINKERS.find(hasPlugin);
  const bits = options.bits ?? pluginOptions(plugins, 'quantizer')['bits'];
  const byFrequency = frequencyEntries(plugins, options);
  const { layers, tied, objective } = options;
  const shrinks = {
    ...(layers && { layers }),
    ...(tied !== undefined && { tied }),
    ...(objective !== undefined && { objective }),
  };
  return {
    overrides: {
      ...byFrequency,
      ...(shrinker && { [shrinker]: { options: shrinks } }),
      ...quantizerEntry(options, hasPlugin('quantizer'), shrinker !== undefined),
    },
    ...(shrinker && { shrinker, target: target ?? { option: 'ratio', value: 8 } }),
    bits: typeof bits === 'number' ? bits : 32,
    leftOut: Object.keys(byFrequency).filter((id) => byFrequency[id] === false),
    streams: ({ layer, rows, columns }) =>
      codesRowsOnly(plugins) && isCoded(plugins, layers, layer, rows * columns),
    presetHash: hash,
  };
}

/** Plugins that look at nothing of a matrix but at its rows, some at a time. */
const BY_ROWS = ['block-codes', 'vocab-partition'];

function codesRowsOnly(plugins: Plugins): boolean {
  const isByRows = (id: string) =>
    BY_ROWS.includes(id) && Object.keys(plugins[id]!.bind).length === 0;
  return Object.hasOwn(plugins, 'block-codes') && Object.keys(plugins).every(isByRows);
}

/** Whether codes of blocks take an embedding by its name or its size. */
function isCoded(
  plugins: Plugins,
  layers: readonly string[] | undefined,
  layer: string,
  numbers: number,
): boolean {
  const own = pluginOptions(plugins, 'block-codes');
  const names = layers ?? own['layers'];
  if (Array.isArray(names)) return names.includes(layer);
  return numbers >= (own['minSize'] as number);
}

/** Options of a plugin that the preset lacks: codes of blocks choose blocks and bits themselves. */
function refuseOptions(plugins: Plugins, { bits, blocks, objective }: CompressOptions): void {
  const choosesItself = Object.hasOwn(plugins, 'block-codes');
  if (objective !== undefined && !choosesItself)
    throw missingPlugin('objective', ['block-codes'], plugins);
  if (!choosesItself) return;
  if (bits !== undefined) throw missingPlugin('bits', ['quantizer'], plugins);
  if (blocks !== undefined) throw missingPlugin('blocks', ['block-low-rank'], plugins);
}

/**
 * The plan's entries with a target that is `tightness` times harder than the one asked for.
 *
 * @throws EspalierError `compress/reached-by-bits`.
 */
export function withTarget(
  { overrides, shrinker, target, bits }: Plan,
  tightness: number,
): PluginEntries {
  if (!shrinker || !target) return overrides;
  const byCodes = shrinker === 'block-low-rank' ? 32 / bits : 1; // what the quantizer adds later
  if (target.option === 'ratio' && target.value <= byCodes) throw reachedByBits(target.value, bits);
  const values: Readonly<Record<Target['option'], number>> = {
    ratio: (target.value / byCodes) * tightness,
    budget: (target.value * byCodes) / tightness,
    maxError: target.value / tightness,
  };
  const { options } = (overrides[shrinker] || {}) as PluginEntry;
  const own = { ...options, [target.option]: values[target.option] };
  return { ...overrides, [shrinker]: { options: own } };
}

function frequencyEntries(plugins: Plugins, { blocks, counts }: CompressOptions): PluginEntries {
  const isPartitioned = Object.hasOwn(plugins, 'vocab-partition');
  if (blocks !== undefined && !isPartitioned)
    throw missingPlugin('blocks', ['vocab-partition'], plugins);
  const cut = blocks === undefined ? {} : { blocks };
  if (counts && isPartitioned) {
    return { 'vocab-partition': { options: { counts: Array.from(counts), ...cut } } };
  }
  if (pluginOptions(plugins, 'vocab-partition')['counts'] !== 'observe') {
    return isPartitioned && blocks !== undefined ? { 'vocab-partition': { options: cut } } : {};
  }
  if (blocks !== undefined) throw missingCounts();
  const weighs = String(pluginOptions(plugins, 'word-importance')['rows']).endsWith('counts');
  return { 'vocab-partition': false, ...(weighs && { 'word-importance': false as const }) };
}

function quantizerEntry(
  { bits, layers }: CompressOptions,
  hasQuantizer: boolean,
  afterShrinker: boolean,
): PluginEntries {
  if (bits === 'none') return hasQuantizer ? { quantizer: false } : {};
  if (!hasQuantizer && bits === undefined) return {};
  const options = {
    ...(bits !== undefined && { bits }),
    // After a shrinker, a layer may share the matrix of another one and have none of its own.
    ...(layers && (afterShrinker ? { matrices: onlyLayers(layers), minSize: 0 } : { layers })),
  };
  return { quantizer: { ...(!hasQuantizer && { use: QUANTIZER }), options } };
}

function onlyLayers(layers: readonly string[]): Options {
  return Object.fromEntries([['*', false], ...layers.map((name) => [`${name}/*`, {}])]);
}

function pluginOptions(plugins: Plugins, id: string): Options {
  return (plugins[id]?.options ?? {}) as Options;
}
