import { parseOptions } from '@espalier/core';
import type { Preset } from '@espalier/core';
import { multiExit } from '@espalier/plugin-multi-exit';
import type { MultiExitOptions } from '@espalier/plugin-multi-exit';

/** Options of {@link deeplySupervised}: those of `multiExit`. */
export type DeeplySupervisedOptions = MultiExitOptions;

/** Options lie over it as a preset of their own, so that their origin is told apart. */
const METHOD: Preset = {
  name: 'deeply-supervised',
  plugins: { 'multi-exit': { use: multiExit } },
};

/**
 * Deeply supervised nets (Lee et al. 2015): linear exits at a quarter, half and three quarters of the
 * network's operations, trained by labels like the network itself.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * const session = await createSession({ preset: deeplySupervised({ weights: 0.3 }), …run });
 */
export function deeplySupervised(options: DeeplySupervisedOptions = {}): Preset {
  parseOptions("preset 'deeply-supervised'", multiExit.definition.options, options);
  if (Object.keys(options).length === 0) return METHOD;
  return {
    name: 'deeply-supervised with options',
    extends: METHOD,
    plugins: { 'multi-exit': { options: { ...options } } },
  };
}
