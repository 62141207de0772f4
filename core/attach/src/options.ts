import { EspalierError, parseOptions } from '@espalier/core';
import type { Plugin, Preset, PresetSource, SessionConfig } from '@espalier/core';
import { z } from 'zod';

/** What {@link attach} may be told besides the preset. */
export interface AttachOptions extends Pick<
  SessionConfig,
  | 'backend'
  | 'checkpoint'
  | 'folder'
  | 'logInterval'
  | 'modules'
  | 'overrides'
  | 'resolvePath'
  | 'seed'
> {
  /**
   * Whose rules hold. Default `tfjs`: what `LayersModel.fit` computes, to the bit. `espalier`: this
   * framework's, e.g. losses on logits and masks that count.
   */
  readonly semantics?: SessionConfig['semantics'];
  /**
   * Whether the losses that are functions of one's own take labels of classes, one-hot or probabilities: then
   * methods that work on labels or classes apply to them. Default false.
   */
  readonly classes?: boolean;
  /** Gets each warning of the run; default `console.warn`. */
  readonly onWarning?: (message: string) => void;
}

/** A preset, its name, a plugin, or a list of plugins. */
export type Methods = PresetSource | Plugin | readonly Plugin[];

const optionsShape = z.strictObject({
  backend: z.unknown().optional(),
  checkpoint: z.unknown().optional(),
  classes: z.boolean().optional(),
  folder: z.string().optional(),
  logInterval: z.number().optional(),
  modules: z.unknown().optional(),
  onWarning: z.custom((value) => typeof value === 'function', 'must be a function').optional(),
  overrides: z.unknown().optional(),
  resolvePath: z.unknown().optional(),
  seed: z.number().optional(),
  semantics: z.enum(['tfjs', 'espalier']).optional(),
});

/** @throws EspalierError `options/invalid`, `attach/preset`. */
export function checkArguments(methods: Methods | undefined, options: AttachOptions): void {
  parseOptions('attach', optionsShape, options);
  if (methods === undefined || typeof methods === 'string') return;
  if (typeof methods === 'object' && methods !== null) return;
  throw new EspalierError('attach/preset', {
    problem:
      typeof methods === 'function'
        ? 'attach: the preset is a function that makes one'
        : 'attach: what stands for the preset is none',
    received: methods,
    fix: 'Give a preset, the name of one, a plugin, or a list of plugins: attach(model, byot()).',
  });
}

/** The part of a session's configuration that says what changes training. */
export function readMethods(
  methods: Methods | undefined,
  own: Preset['plugins'],
  make: () => readonly Plugin[],
): Pick<SessionConfig, 'plugins' | 'preset'> {
  if (methods === undefined) return { plugins: make() };
  if (Array.isArray(methods)) return { plugins: [...(methods as readonly Plugin[]), ...make()] };
  if (isPlugin(methods)) return { plugins: [methods, ...make()] };
  return { preset: { extends: methods as PresetSource, plugins: own } };
}

function isPlugin(methods: unknown): methods is Plugin {
  return typeof (methods as Partial<Plugin>).apply === 'function';
}
