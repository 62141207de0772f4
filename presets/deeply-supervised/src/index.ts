import type { Preset } from '@espalier/core';
import type { MultiExitOptions } from '@espalier/plugin-multi-exit';

/** Options of {@link deeplySupervised}: those of `multiExit`. */
export type DeeplySupervisedOptions = MultiExitOptions;

/**
 * Deeply supervised nets (Lee et al. 2015): linear exits at a quarter, half and three quarters of the
 * network's operations, trained by labels like the network itself.
 *
 * @example
 * const session = await createSession({ preset: deeplySupervised({ weights: 0.3 }), …run });
 */
export function deeplySupervised(options: DeeplySupervisedOptions = {}): Preset {
  return {
    name: 'deeply-supervised',
    plugins: {
      'multi-exit': { use: '@espalier/plugin-multi-exit#multiExit', options },
    },
  };
}
