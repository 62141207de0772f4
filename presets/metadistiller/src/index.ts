import { parseOptions } from '@espalier/core';
import type { Preset } from '@espalier/core';
import { bilevel } from '@espalier/plugin-bilevel';
import { exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import type { ExitDistillationOptions, MultiExitOptions } from '@espalier/plugin-multi-exit';
import { labelGenerator } from '@espalier/plugin-soft-targets';
import type { LabelGeneratorOptions } from '@espalier/plugin-soft-targets';
import { z } from 'zod';
import { listOuterTerms, outerWeights, weightsOption } from './outer-weights.js';

export { outerWeights };

/** What the paper does not say; examples/metadistiller/defaults.ts chooses it by a rule. */
const CHOSEN = {
  /** An outer step every so many steps. */
  interval: 8,
  /** Of Adam, which trains the generator by labels and in outer steps. */
  learningRate: 1e-2,
  /** When the warm-up is over, and how much the labels count from then on, beside the outer loss. */
  labelWeight: {
    weight: 1,
    until: 'better',
    earliest: 3,
    latest: 10,
    then: 0.3,
    restart: true,
  },
  /** Size of the hypergradient; 1: as much as labels push the generator from one outer step to the next. */
  share: 0.1,
  /** η of the virtual step: the run's own rate at that step, or a number. */
  innerLearningRate: 'run',
} as const;

const metaOptions = bilevel.definition.options
  .omit({ variables: true, loss: true })
  .partial()
  .extend({ weights: weightsOption.optional() });
const distillation = exitDistillation.definition.options.pick({
  alpha: true,
  temperature: true,
  divergence: true,
  keepLabels: true,
});
const options = multiExit.definition.options
  .extend({
    ...distillation.shape,
    generator: labelGenerator.definition.options.partial().optional(),
    meta: z.union([z.literal(false), metaOptions]).optional(),
  })
  .refine(
    ({ generator, meta = {} }) =>
      meta === false ||
      meta.share === undefined ||
      doLabelsStay(generator?.labelWeight ?? findLabelWeight(meta)),
    {
      path: ['meta', 'share'],
      message:
        'is relative to the gradient of the labels: let them stay beside the outer loss (generator.labelWeight, its then), or leave share out',
    },
  );

/** Options of {@link metadistiller}; the others are those of `multiExit` and `exitDistillation`. */
export interface MetadistillerOptions
  extends MultiExitOptions, Pick<ExitDistillationOptions, 'divergence' | 'keepLabels'> {
  /** Share α of the soft loss in each auxiliary exit; default 0.1. */
  readonly alpha?: ExitDistillationOptions['alpha'];
  /** Temperature τ of the soft loss; default 3. */
  readonly temperature?: number;
  /** Of `labelGenerator`. */
  readonly generator?: LabelGeneratorOptions;
  /**
   * Of `bilevel`, and `weights`: how much each exit counts in the outer loss. `false`: the labels alone
   * teach the generator, all along, by the same optimizer.
   */
  readonly meta?: false | z.input<typeof metaOptions>;
}

/** Without labels beside the outer loss there is nothing for `share` to refer to. */
const makeMethod = ({ labelsStay }: { readonly labelsStay: boolean }): Preset => ({
  name: 'metadistiller',
  plugins: {
    'multi-exit': {
      use: multiExit,
      options: { branch: 'bottleneck' },
    },
    // Who teaches. To swap: the same key with another `use`, and `bilevel: false`.
    'label-generator': {
      use: labelGenerator,
      options: { learningRate: CHOSEN.learningRate, labelWeight: CHOSEN.labelWeight },
    },
    'exit-distillation': {
      use: exitDistillation,
      options: { alpha: 0.1, temperature: 3 },
    },
    // Makes the teacher good for its students: without it the generator learns from labels only. It waits
    // for the end of the generator's warm-up, and steps by the generator's optimizer.
    bilevel: {
      use: bilevel,
      options: {
        variables: ['label-generator:*'],
        loss: ['task/*', 'multi-exit/*'],
        interval: CHOSEN.interval,
        innerLearningRate: CHOSEN.innerLearningRate,
        ...(labelsStay && { share: CHOSEN.share }),
      },
    },
  },
});

/** The method; options lie over it as a preset of their own, so that their origin is told apart. */
const METHOD = makeMethod({ labelsStay: true });

/**
 * MetaDistiller (Liu et al. 2020): exits learn from labels and from soft targets that a generator makes
 * of the deeper feature maps; the generator is meta-learned so that a step towards its targets lowers
 * the loss of the exits on the next batch.
 *
 * @throws EspalierError `options/invalid`; at setup: `outer-weights/exits`.
 * @example
 * const session = await createSession({ preset: metadistiller({ at: 'block_*_out' }), …run });
 */
export function metadistiller(given: MetadistillerOptions = {}): Preset {
  parseOptions("preset 'metadistiller'", options, given);
  if (Object.keys(given).length === 0) return METHOD;
  const { generator = {}, meta = {}, ...rest } = given;
  const { alpha, temperature, divergence, keepLabels, ...exits } = rest;
  const { weights, ...outer } = meta === false ? {} : meta;
  const labelWeight = generator.labelWeight ?? findLabelWeight(meta);
  const loss = weights && listOuterTerms(weights);
  return {
    name: 'metadistiller with options',
    extends: doLabelsStay(labelWeight) ? METHOD : makeMethod({ labelsStay: false }),
    plugins: {
      'multi-exit': { options: dropUndefined(exits) },
      'label-generator': { options: dropUndefined({ ...generator, labelWeight }) },
      'exit-distillation': {
        options: dropUndefined({ alpha, temperature, divergence, keepLabels }),
      },
      bilevel: meta === false ? false : { options: dropUndefined({ ...outer, loss }) },
      ...(weights && {
        'outer-weights': {
          use: outerWeights,
          options: dropUndefined({ weights, output: exits.output }),
        },
      }),
    },
  };
}

type LabelWeight = LabelGeneratorOptions['labelWeight'];

/** Without meta-learning labels teach all along; a warm-up by steps is that of generator and meta-learning. */
function findLabelWeight(meta: NonNullable<MetadistillerOptions['meta']> | false): LabelWeight {
  if (meta === false) return 1;
  if (meta.warmup === undefined) return undefined;
  const { weight, then, restart } = CHOSEN.labelWeight;
  return meta.warmup === 0 ? then : { weight, steps: meta.warmup, then, restart };
}

/** Whether labels teach the generator beside the outer loss, too. */
function doLabelsStay(labelWeight: LabelWeight = CHOSEN.labelWeight): boolean {
  if (typeof labelWeight === 'number') return labelWeight > 0;
  const { weight = 1, then = 0, steps, epochs, until } = labelWeight;
  return ((steps ?? epochs ?? until) === undefined ? weight : then) > 0;
}

function dropUndefined(given: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
