import { stopGradient } from '@espalier/backend';
import { EspalierError } from '@espalier/base';
import { weigh, weightedMean } from '@espalier/losses';
import type { ExampleWeights, Loss } from '@espalier/losses';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from './batch.js';

/** Whether a tensor has the steps that weights `[batch, time]` are of. */
export function hasSteps(values: Tensor, { shape }: Tensor): boolean {
  return tf.util.arraysEqual(values.shape.slice(0, shape.length), shape);
}

/** How the examples of a batch and their steps count, output by output. */
export interface ExampleCounts {
  /** The batch with one weight for each example. */
  readonly batch: Batch;
  /** By output whose steps do not all count alike: `[batch, time]`. */
  readonly steps: NamedTensors;
  /** By output that a mask reaches: the weights of examples, which are those of their real steps. */
  readonly present: Readonly<Record<string, Tensor1D>>;
}

/** What a batch's weights and the masks of a run say; in a tidy of the caller's. */
export function computeCounts(
  given: Batch,
  targets: NamedTensors,
  masks: NamedTensors,
): ExampleCounts {
  const { weights } = given;
  const perStep = weights && weights.rank > 1 ? weights : undefined;
  const perExample = perStep ? sumOverSteps(perStep) : (weights as Tensor1D | undefined);
  const batch = perStep ? { ...given, weights: perExample } : given;
  const steps = Object.entries(targets).flatMap(([name, target]) => {
    const factors = [
      ...(masks[name] ? [stopGradient(tf.cast(masks[name], 'float32'))] : []),
      ...(perStep && hasSteps(target, perStep) ? [perStep] : []),
    ];
    return factors.length === 0 ? [] : [[name, factors.reduce((a, b) => tf.mul(a, b))] as const];
  });
  const bySteps = Object.fromEntries(steps) as NamedTensors;
  const present = Object.keys(masks).map((name) => {
    const weighed = perStep && targets[name] && hasSteps(targets[name], perStep);
    const weight = weighed ? sumOverSteps(bySteps[name]!) : presence(masks[name]!, perExample);
    return [name, weight];
  });
  return {
    batch: batch as Batch,
    steps: bySteps,
    present: Object.fromEntries(present) as Record<string, Tensor1D>,
  };
}

function sumOverSteps(weights: Tensor): Tensor1D {
  return tf.sum(tf.reshape(weights, [weights.shape[0]!, -1]), 1);
}

function presence(mask: Tensor, weights: Tensor1D | undefined): Tensor1D {
  const real = tf.any(tf.reshape(mask, [mask.shape[0]!, -1]), 1);
  const present = tf.cast(real, 'float32') as Tensor1D;
  return weights ? tf.mul(present, weights) : present;
}

/**
 * The mean over the examples of which some step is real; 0 where there are none. In a window it is divided by
 * `divisor`, so that the shares of its micro-batches add up to the mean over the window.
 */
export function meanOverPresent(
  values: Tensor1D,
  batch: ExampleWeights,
  weights: Tensor1D | undefined,
  divisor?: number,
): Scalar {
  if (!weights) return weightedMean(values, batch);
  const sum = divisor === undefined ? tf.sum(weights) : tf.scalar(divisor);
  return tf.div(tf.sum(weigh(values, weights)), tf.add(sum, tf.cast(tf.equal(sum, 0), 'float32')));
}

/** @throws EspalierError `loss/steps` for a loss that would count every step alike. */
export function checkWeighsSteps(name: string, loss: Loss, steps: Tensor | undefined): void {
  if (!steps || loss.weighsSteps) return;
  throw new EspalierError('loss/steps', {
    problem: `not every step of output '${name}' counts alike (a mask reaches it, or there are weights per step), and its loss ${loss.name} does not declare weighsSteps`,
    fix: "Let perExample and metrics take steps as their third argument, reduce with meanPerExample(values, steps), and say weighsSteps: true; or let padding count: semantics: 'tfjs'.",
  });
}
