import { cosineSchedule, sgd } from '@espalier/core';
import type { Preset, GradientTransform } from '@espalier/core';
import { deeplySupervised } from '@espalier/preset-baselines';
import { metadistiller } from '@espalier/preset-metadistiller';

/** One way to train the network. */
export interface Recipe {
  readonly name: string;
  readonly preset: Preset;
}

// Behind two of the three stages; the network's own output is the third exit.
const at = ['stage1', 'stage2'];

// Four epochs are short: the preset would wait longer before meta-learning begins.
const generator = { labelWeight: { epochs: 2, then: 1 } };

/** The three ways that are compared; all else is the same. */
export const RECIPES: readonly Recipe[] = [
  { name: 'plain', preset: { name: 'plain', plugins: {} } },
  { name: 'deeply supervised', preset: deeplySupervised({ at }) },
  { name: 'MetaDistiller', preset: metadistiller({ at, generator }) },
];

export const BATCH_SIZE = 32;

const SGD = { momentum: 0.9, weightDecay: 5e-4 };
const PEAK_RATE = 0.05;

/** The optimizer in words. */
export const OPTIMIZER = `SGD, momentum ${SGD.momentum}, weight decay ${SGD.weightDecay}, learning rate ${PEAK_RATE} falling by half a cosine`;

/** SGD whose rate falls to zero over `steps`. */
export function optimizerFor(steps: number): GradientTransform {
  return sgd({ ...SGD, learningRate: cosineSchedule({ initial: PEAK_RATE, steps }) });
}
