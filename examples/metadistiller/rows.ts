/** Ways to train one network, and how each is tuned. */
import { at, base, metrics, preset, split } from './base.js';
import { HELD_OUT, INTERVAL, TEACHER } from './budget.js';
import { chosenDataset } from './datasets.js';

const dataset = chosenDataset();
const metadistiller = 'metadistiller#metadistiller';
const method = { at, meta: { interval: INTERVAL } };
const teacher = {
  teacher: { bind: { teacher: { use: './teacher.ts#load', options: { ...TEACHER, dataset } } } },
};
const heldOut = {
  bilevel: { bind: { 'outer-data': split(dataset, 'train', HELD_OUT) } },
};

const rows = {
  'label smoothing': preset('baselines#labelSmoothing'),
  'deeply supervised': preset('baselines#deeplySupervised', { at, branch: 'bottleneck' }),
  BYOT: preset('baselines#byot', { at }),
  'KD, ResNet-20': preset('baselines#kd', {}, teacher),
  'generator, no meta-learning': preset(metadistiller, { at, meta: false }),
  MetaDistiller: preset(metadistiller, method),
  'MetaDistiller, labels all along': preset(metadistiller, {
    ...method,
    generator: { labelWeight: 1 },
  }),
  // Two hundred images more, which the outer loss alone sees.
  'MetaDistiller, held-out': preset(metadistiller, method, heldOut),
};

type Row = keyof typeof rows;

/** A study of some rows against the plain network; results of a row and seed are shared by all such studies. */
export function studyOf(names: readonly Row[], seeds: number) {
  return {
    base: base(dataset, 10),
    factors: { method: Object.fromEntries(names.map((name) => [name, rows[name]])) },
    seeds,
    primary: 'accuracy',
    metrics,
    tune: {
      trials: 4,
      seed: 1000,
      space: {
        'optimizer.options.learningRate.initial': { choices: [0.05, 0.1, 0.2] },
        // A study tunes nothing that none of its rows has.
        ...(names.includes('label smoothing') && {
          'plugins.label-smoothing.options.epsilon': { choices: [0.05, 0.1, 0.2] },
        }),
        'plugins.multi-exit.options.weights': { choices: [0.3, 1] },
        'plugins.exit-distillation.options.alpha': { low: 0.05, high: 0.9, scale: 'log' },
        'plugins.exit-distillation.options.temperature': { choices: [1, 2, 4] },
      },
    },
    dir: `../../runs/metadistiller-${dataset.name}`,
  } as const;
}

/** All rows. */
export const ROWS = Object.keys(rows) as readonly Row[];
