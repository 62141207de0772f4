/** Ways to train one network; in each, images are flipped and shifted. */
import type { Preset } from '@espalier/core';
import { at, SHIFT } from './setting.js';

type Plugins = NonNullable<Preset['plugins']>;
type Options = Readonly<Record<string, unknown>>;

const augmentation: Plugins = {
  'random-crop': {
    use: '@espalier/plugin-augmentation#randomCrop',
    options: { padding: SHIFT },
  },
  'random-flip': { use: '@espalier/plugin-augmentation#randomFlip' },
};

/** Without exits or teachers. */
export const plain: Preset = { name: 'plain', plugins: augmentation };

/** `@espalier/preset-<name>`, with `plugins` laid over it. */
function row(name: string, options: Options, plugins: Plugins = {}): Preset {
  const preset = { use: `@espalier/preset-${name}`, options };
  return { extends: preset, plugins: { ...augmentation, ...plugins } };
}

const METADISTILLER = 'metadistiller#metadistiller';

/** The rows beside plain, by name. */
export const ROWS: Readonly<Record<string, Preset>> = {
  'label smoothing': row('baselines#labelSmoothing', {}),
  'deeply supervised': row('baselines#deeplySupervised', { at, branch: 'bottleneck' }),
  BYOT: row('baselines#byot', { at }),
  'uniform targets': row(
    METADISTILLER,
    { at, meta: false },
    { 'label-generator': { use: '@espalier/plugin-soft-targets#uniformTargets' } },
  ),
  'generator by labels': row(METADISTILLER, { at, meta: false }),
  MetaDistiller: row(METADISTILLER, { at }),
};
