import { parseOptions } from '@espalier/core';
import type { Preset } from '@espalier/core';
import { labelSmoothing as plugin } from '@espalier/plugin-label-smoothing';

/** Options of {@link labelSmoothing}: those of the plugin. */
export type LabelSmoothingOptions = NonNullable<Parameters<typeof plugin>[0]>;

/** The paper's method; options lie over it as a preset of their own, so that their origin is told apart. */
const PAPER: Preset = {
  name: 'label-smoothing',
  plugins: {
    'label-smoothing': {
      use: plugin,
      options: { epsilon: 0.1 },
    },
  },
};

/**
 * Label smoothing (Szegedy et al. 2016): a share ε of each label is spread over all classes.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * const session = await createSession({ preset: labelSmoothing({ epsilon: 0.05 }), …run });
 */
export function labelSmoothing(options: LabelSmoothingOptions = {}): Preset {
  parseOptions("preset 'label-smoothing'", plugin.definition.options, options);
  if (Object.keys(options).length === 0) return PAPER;
  return {
    name: 'label-smoothing with options',
    extends: PAPER,
    plugins: { 'label-smoothing': { options: { ...options } } },
  };
}
