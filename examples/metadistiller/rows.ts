/** Ways to train one network; in each, images are flipped and shifted. */
import type { Preset } from '@espalier/core';
import { randomCrop, randomFlip } from '@espalier/plugin-augmentation';
import { uniformTargets } from '@espalier/plugin-soft-targets';
import { byot, deeplySupervised, labelSmoothing } from '@espalier/preset-baselines';
import { metadistiller } from '@espalier/preset-metadistiller';
import { at, SHIFT } from './setting.js';

/** Without exits or teachers. */
export const plain: Preset = {
  name: 'plain',
  plugins: {
    'random-crop': { use: randomCrop, options: { padding: SHIFT } },
    'random-flip': { use: randomFlip },
  },
};

/** A preset on images that are flipped and shifted. */
export function augmented(preset: Preset, plugins: Preset['plugins'] = {}): Preset {
  return { extends: preset, plugins: { ...plain.plugins, ...plugins } };
}

/** The rows beside plain, by name. */
export const ROWS: Readonly<Record<string, Preset>> = {
  'label smoothing': augmented(labelSmoothing()),
  'deeply supervised': augmented(deeplySupervised({ at, branch: 'bottleneck' })),
  BYOT: augmented(byot({ at })),
  'uniform targets': augmented(metadistiller({ at, meta: false }), {
    'label-generator': { use: uniformTargets, options: { exits: 'auxiliary' } },
  }),
  'generator by labels': augmented(metadistiller({ at, meta: false })),
  MetaDistiller: augmented(metadistiller({ at })),
  // As much change of the generator, in directions that say nothing.
  'MetaDistiller, random sign': augmented(metadistiller({ at, meta: { control: 'random-sign' } })),
};
