import { parseOptions } from '@espalier/core';
import type { Preset } from '@espalier/core';
import { deepestExit, exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import type { ExitDistillationOptions, MultiExitOptions } from '@espalier/plugin-multi-exit';

/** Options of {@link byot}; the others are those of `multiExit`. */
export interface ByotOptions extends MultiExitOptions, ExitDistillationOptions {
  /** Share α of the soft loss in each auxiliary exit; default 0.1. */
  readonly alpha?: ExitDistillationOptions['alpha'];
  /** Temperature τ of the soft loss; default 3. */
  readonly temperature?: number;
  /** Weight β of the hint ‖f_i − f_K‖², a mean over the examples; default 1e-4. */
  readonly hint?: number;
}

const distillationOptions = exitDistillation.definition.options;
const byotOptions = multiExit.definition.options.extend(distillationOptions.shape);

/** The paper's method; options lie over it as a preset of their own, so that their origin is told apart. */
const PAPER: Preset = {
  name: 'byot',
  plugins: {
    'multi-exit': {
      use: multiExit,
      options: { branch: 'bottleneck' },
    },
    // Who teaches. To swap: the same key with another `use`, or bind 'soft-targets' below.
    'deepest-exit': { use: deepestExit },
    // Scales the terms of multi-exit, so it comes after; it declares that order itself.
    'exit-distillation': {
      use: exitDistillation,
      // The authors' 1e-6 is for a sum over their batch of 128; the mean over it takes 128 times as much.
      options: { alpha: 0.1, temperature: 3, hint: 1e-4 },
    },
  },
};

/**
 * Be Your Own Teacher (Zhang et al. 2019): bottleneck exits that learn from labels, from the deepest
 * exit's distribution and from its features.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * const session = await createSession({ preset: byot({ at: 'block_*_out' }), …run });
 */
export function byot(options: ByotOptions = {}): Preset {
  parseOptions("preset 'byot'", byotOptions, options);
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  if (given.length === 0) return PAPER;
  const distils = ([key]: readonly [string, unknown]) => key in distillationOptions.shape;
  return {
    name: 'byot with options',
    extends: PAPER,
    plugins: {
      'multi-exit': { options: Object.fromEntries(given.filter((each) => !distils(each))) },
      'exit-distillation': { options: Object.fromEntries(given.filter(distils)) },
    },
  };
}
