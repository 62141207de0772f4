import type { Preset } from '@espalier/core';
import type { MultiExitOptions } from '@espalier/plugin-multi-exit';

/** Options of {@link byot}; the others are those of `multiExit`. */
export interface ByotOptions extends MultiExitOptions {
  /** Share α of the soft loss in each auxiliary exit; default 0.1. */
  readonly alpha?: number;
  /** Temperature τ of the soft loss; default 3. */
  readonly temperature?: number;
  /** Weight β of the hint ‖f_i − f_K‖²; default 1e-6. */
  readonly hint?: number;
}

/**
 * Be Your Own Teacher (Zhang et al. 2019): bottleneck exits that learn from labels, from the deepest
 * exit's distribution and from its features.
 *
 * @example
 * const session = await createSession({ preset: byot({ at: 'block_*_out' }), …run });
 */
export function byot({
  alpha = 0.1,
  temperature = 3,
  hint = 1e-6,
  branch = 'bottleneck',
  ...exits
}: ByotOptions = {}): Preset {
  return {
    name: 'byot',
    plugins: {
      'multi-exit': {
        use: '@espalier/plugin-multi-exit#multiExit',
        options: { branch, ...exits },
      },
      // Who teaches. To swap: the same key with another `use`, or bind 'soft-targets' below.
      'deepest-exit': { use: '@espalier/plugin-multi-exit#deepestExit' },
      // Scales the terms of multi-exit, so it comes after; it declares that order itself.
      'exit-distillation': {
        use: '@espalier/plugin-multi-exit#exitDistillation',
        options: { alpha, temperature, hint },
      },
    },
  };
}
