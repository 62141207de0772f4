import { EspalierError, suggest, toDistribution } from '@espalier/core';
import type { Batch, Loss, NamedTensors, PluginContext, KeyedRng } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { mixExamples } from './mix-examples.js';

/** Options that mixup and cutmix share. */
export const mixerOptions = {
  per: z.enum(['batch', 'example']).default('batch'),
  input: z.string().optional(),
  linear: z.array(z.string()).default([]),
};

/** What mixup and cutmix touch. `mixing` is a name of their own: of the two, a run has one. */
export const mixerEffects = {
  'batch:inputs': 'modify',
  'batch:targets': 'modify',
  'batch:weights': 'modify',
  mixing: 'own',
} as const;

const earlier = ['random-crop', 'random-flip', 'cutout'];

/** Whole images are mixed last. */
export const mixerOrder = { after: earlier, optional: earlier };

export type MixerContext = PluginContext<typeof mixerEffects>;

/** Losses that read their targets as numbers, so that a mixed target is a target. */
const LINEAR = ['mean-squared-error', 'binary-cross-entropy'];

/**
 * Refuses outputs whose targets cannot be mixed.
 *
 * @param linear outputs with a loss of one's own whose targets are numbers.
 * @throws EspalierError `<plugin>/output`, `<plugin>/targets`.
 */
export function checkTargets(
  losses: MixerContext['losses'],
  plugin: string,
  linear: readonly string[],
): void {
  const unknown = linear.find((output) => !losses[output]);
  if (unknown !== undefined) {
    throw new EspalierError(`${plugin}/output`, {
      problem: `there is no loss for an output '${unknown}'`,
      fix: suggest(unknown, Object.keys(losses)),
    });
  }
  for (const [output, loss] of Object.entries(losses)) {
    if (loss.classIds || LINEAR.includes(loss.name) || linear.includes(output)) continue;
    throw new EspalierError(`${plugin}/targets`, {
      problem: `the targets of output '${output}' cannot be mixed: its loss ${loss.name} is not known to take distributions of classes or numbers`,
      fix: `Name the output in the option linear if the targets are numbers, or leave ${plugin} out.`,
    });
  }
}

/** One draw for all of a batch, or one for each example. */
export function drawMix<T>(per: 'batch' | 'example', size: number, draw: () => T): readonly T[] {
  if (per === 'example') return Array.from({ length: size }, draw);
  return new Array<T>(size).fill(draw());
}

/**
 * The weights of a batch's examples, on the host.
 *
 * @throws EspalierError `mixing/step-weights`.
 */
export async function readWeights({ weights }: Batch): Promise<Float32Array | undefined> {
  if (!weights || weights.rank === 1) return weights?.data<'float32'>();
  throw new EspalierError('mixing/step-weights', {
    problem: 'examples are mixed by one weight each, and the batch has one for each of their steps',
    received: weights,
    fix: 'Give each example one weight, or leave mixup and cutmix out.',
  });
}

/** Options of {@link drawMixup} and {@link drawCutmix}. */
export interface DrawMixOptions {
  /** α of Beta(α, α), above 0. */
  readonly alpha?: number;
  /** One λ for the batch, or one for each example. Default `batch`. */
  readonly per?: 'batch' | 'example';
  /** Weights of the examples, `[batch]`: those of weight 0 are not mixed. Default: all count. */
  readonly weights?: ArrayLike<number> | undefined;
}

/**
 * A partner for each example: a permutation of those that count. An example of weight 0 is its own
 * partner.
 */
export function drawPartners(
  size: number,
  weights: ArrayLike<number> | undefined,
  random: KeyedRng,
): Int32Array {
  const partners = Int32Array.from({ length: size }, (_, i) => i);
  const live = partners.filter((i) => weights?.[i] !== 0);
  random.permutation(live.length).forEach((j, i) => (partners[live[i]!] = live[j]!));
  return partners;
}

/** Who is mixed with whom, and how much of an example stays. */
export interface Mix {
  readonly partners: Int32Array;
  /** λ of each example, from 0 to 1. */
  readonly shares: readonly number[];
}

/**
 * Targets and weights of mixed examples. An example of share λ and weight w with a partner of weight v
 * weighs λw + (1 − λ)v, and its target keeps λw of that: in a loss that is linear in the target each
 * label counts as much as its own example's weight says.
 *
 * @param weights those of `batch`, on the host.
 */
export function mixTargets(
  batch: Batch,
  { partners, shares }: Mix,
  { losses, model }: MixerContext,
  weights: Float32Array | undefined,
): Pick<Batch, 'targets' | 'weights'> {
  const own = shares.map((share, i) => share * (weights?.[i] ?? 1));
  const mixed = shares.map((share, i) => own[i]! + (1 - share) * (weights?.[partners[i]!] ?? 1));
  const kept = mixed.map((weight, i) => (weight > 0 ? own[i]! / weight : 1));
  const mixTarget = ([output, loss]: [string, Loss]) => {
    const labels = asNumbers(batch.targets[output]!, loss, model.outputShapes[output]!);
    return [output, mixExamples(labels, partners, kept)] as const;
  };
  const targets: NamedTensors = Object.fromEntries(Object.entries(losses).map(mixTarget));
  return {
    targets: { ...batch.targets, ...targets },
    ...(weights && { weights: tf.tensor1d(mixed) }),
  };
}

function asNumbers(target: tf.Tensor, { classIds }: Loss, shape: readonly (number | null)[]) {
  return tf.cast(classIds ? toDistribution(target, shape) : target, 'float32');
}
