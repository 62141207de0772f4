import { EspalierError } from '@espalier/base';
import type { Plugin } from '../plugins/plugin.js';

type Options = Readonly<Record<string, unknown>>;

/** Any plugin factory, whatever its options. */
export type AnyPluginFactory = ((
  options?: never,
  instance?: { readonly id?: string },
) => Plugin) & {
  readonly definition: { readonly id: string; readonly exportedAs?: string };
};

/** A component for a token: `'@scope/pkg#export'`, or the function that makes it of its options. */
export interface BindingEntry {
  readonly use: string | ((options?: never) => unknown);
  readonly options?: Options;
}

/** One plugin of a preset, or what a later preset changes about it. */
export interface PluginEntry {
  /**
   * The factory, as code has it: a bundler finds it then. In JSON `'@scope/pkg#export'` (no `#`: the
   * default export), which is imported at run time. Inherited if omitted.
   */
  readonly use?: string | AnyPluginFactory;
  /**
   * Merged over inherited options, key by key; `undefined` restores the default. Under another
   * `use` than the inherited one nothing is inherited: it was made for another plugin.
   */
  readonly options?: Options;
  /** Components by token name, e.g. another provider of soft targets. */
  readonly bind?: Readonly<Record<string, BindingEntry>>;
}

/** Plugins by the id they have in the run; `false` removes an inherited one. */
export type PluginEntries = Readonly<Record<string, false | PluginEntry>>;

/**
 * A preset, or `'@scope/pkg#export'` where one is, or that with options: they go to the export if it
 * is a function that makes a preset. In code, call the function: `byot({ temperature: 3 })`.
 */
export type PresetSource = Preset | string | { readonly use: string; readonly options?: Options };

/**
 * A combination of plugins as plain data, but for their factories.
 *
 * @example
 * const mine: Preset = {
 *   name: 'mine',
 *   extends: byot({ temperature: 3 }),
 *   plugins: { 'multi-exit': { options: { detach: true } }, ema: { use: ema } },
 * };
 */
export interface Preset {
  /** Names it in manifests and errors. */
  readonly name?: string;
  /** What it builds on; of several, later ones win. */
  readonly extends?: PresetSource | readonly PresetSource[];
  readonly plugins: PluginEntries;
}

/** By which name a manifest knows a plugin; the factory itself where it has none. */
export function nameUse(use: NonNullable<PluginEntry['use']>): string | AnyPluginFactory {
  return typeof use === 'string' ? use : (use.definition?.exportedAs ?? use);
}

export function presetError(what: string, problem: string, fix: string, cause?: unknown) {
  return new EspalierError(`preset/${what}`, { problem, fix, cause });
}
