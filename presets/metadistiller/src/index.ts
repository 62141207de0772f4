import { parseOptions } from '@espalier/core';
import type { Preset } from '@espalier/core';
import { bilevel } from '@espalier/plugin-bilevel';
import { exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import type { MultiExitOptions } from '@espalier/plugin-multi-exit';
import { labelGenerator } from '@espalier/plugin-soft-targets';
import type { LabelGeneratorOptions } from '@espalier/plugin-soft-targets';
import { z } from 'zod';

const metaOptions = bilevel.definition.options.omit({ variables: true, loss: true }).partial();
const distillation = exitDistillation.definition.options.pick({ alpha: true, temperature: true });
const options = multiExit.definition.options.extend({
  ...distillation.shape,
  generator: labelGenerator.definition.options.partial().optional(),
  meta: z.union([z.literal(false), metaOptions]).optional(),
});

/** Options of {@link metadistiller}; the others are those of `multiExit`. */
export interface MetadistillerOptions extends MultiExitOptions {
  /** Share α of the soft loss in each auxiliary exit; default 0.1. */
  readonly alpha?: number;
  /** Temperature τ of the soft loss; default 3. */
  readonly temperature?: number;
  /** Of `labelGenerator`. */
  readonly generator?: LabelGeneratorOptions;
  /** Of `bilevel`; `false`: the generator learns from the labels alone, all along. */
  readonly meta?: false | z.input<typeof metaOptions>;
}

/** Steps in which the generator learns from the labels, before the outer loss takes over. */
const WARMUP = 30;

/** The paper's method; options lie over it as a preset of their own, so that their origin is told apart. */
const PAPER: Preset = {
  name: 'metadistiller',
  plugins: {
    'multi-exit': {
      use: multiExit,
      options: { branch: 'bottleneck' },
    },
    // Who teaches. To swap: `false` here and another provider of 'soft-targets'.
    'label-generator': {
      use: labelGenerator,
      options: { labelWeight: { weight: 1, steps: WARMUP } },
    },
    'exit-distillation': {
      use: exitDistillation,
      options: { alpha: 0.1, temperature: 3 },
    },
    // Makes the teacher good for its students: without it the generator learns from labels only.
    bilevel: {
      use: bilevel,
      options: {
        variables: ['label-generator:*'],
        loss: ['task/*', 'multi-exit/*'],
        interval: 16,
        warmup: WARMUP,
      },
    },
  },
};

/**
 * MetaDistiller (Liu et al. 2020): exits learn from labels and from soft targets that a generator makes
 * of the deeper feature maps; the generator is meta-learned so that a step towards its targets lowers
 * the loss of the exits on the next batch.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * const session = await createSession({ preset: metadistiller({ at: 'block_*_out' }), …run });
 */
export function metadistiller(given: MetadistillerOptions = {}): Preset {
  parseOptions("preset 'metadistiller'", options, given);
  const { alpha, temperature, generator = {}, meta = {}, ...exits } = given;
  if (Object.keys(given).length === 0) return PAPER;
  const labelWeight = meta === false ? { labelWeight: 1 } : labelsUntil(meta.warmup);
  return {
    name: 'metadistiller with options',
    extends: PAPER,
    plugins: {
      'multi-exit': { options: dropUndefined(exits) },
      'label-generator': { options: { ...labelWeight, ...dropUndefined(generator) } },
      'exit-distillation': { options: dropUndefined({ alpha, temperature }) },
      bilevel: meta === false ? false : { options: dropUndefined(meta) },
    },
  };
}

/** The labels teach the generator until meta-learning does. */
function labelsUntil(steps: number | undefined) {
  if (steps === undefined) return {};
  return { labelWeight: steps === 0 ? 0 : { weight: 1, steps } };
}

function dropUndefined(given: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
