import { binaryCrossEntropy, crossEntropy, EspalierError, meanPerExample } from '@espalier/core';
import type { Head, Loss, Network } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { ClassWeights } from './class-weights.js';
import { findLossName, findTrainedModel } from './compiled-model.js';
import type { CompiledFunction } from './compiled-model.js';

/** A compiled loss in the terms of a session. */
export interface CompiledLoss {
  /** Canonical name of the output. */
  readonly output: string;
  readonly loss: Loss;
  /** Of the fit under way, where the model has several outputs. */
  readonly classWeights: ClassWeights;
  /** What `compile` called it. */
  readonly compiledAs: string;
  /** Turns targets as tfjs takes them into those that the loss takes. */
  toTarget(y: Tensor): Tensor;
  /** The way back, for metrics that were compiled. */
  toMetric(target: Tensor): Tensor;
  /** Turns what the run takes of the output, logits for one, into what the model gives. */
  activate(output: Tensor): Tensor;
}

/**
 * One loss for each output, in the model's order. `classes`: functions that were compiled as losses take
 * labels of classes.
 */
export function readLosses(
  model: LayersModel,
  network: Network,
  classes: boolean,
): readonly CompiledLoss[] {
  const compiled = findTrainedModel(model);
  return network.outputNames.map((output, i) => {
    const given = findLossName(compiled, model.outputNames[i]!, i);
    const compute = compiled.lossFunctions[i]!;
    const name = given ?? (compute.name.replace(/__op$/, '') || 'function');
    const head = network.heads[output]!;
    const known = given ? KNOWN[given]?.(head) : readLogitsLoss(compute, head);
    const loss = known ?? readFunction(name, compute, classes && given === undefined);
    const ids = known && given === 'sparseCategoricalCrossentropy';
    const [toTarget, toMetric] = ids ? [toClassIds, fromClassIds] : [keep, keep];
    const classWeights = new ClassWeights();
    return {
      output,
      loss: network.outputNames.length > 1 ? classWeights.weigh(loss) : loss,
      classWeights,
      compiledAs: name,
      toTarget,
      toMetric,
      activate: readActivation(loss, head),
    };
  });
}

type ForHead = (head: Head) => Loss | undefined;

/** Losses that a session has itself: with these, plugins know that classes are trained. */
const KNOWN: Readonly<Record<string, ForHead>> = {
  categoricalCrossentropy: (head) => readCrossEntropy(head),
  sparseCategoricalCrossentropy: (head) => readCrossEntropy(head),
  binaryCrossentropy: ({ gives }) => (gives === 'values' ? undefined : binaryCrossEntropy()),
};

/** Of numbers that no softmax made, tfjs takes the logarithm all the same: then its own function stays. */
function readCrossEntropy({ gives, activation }: Head): Loss | undefined {
  if (gives === 'values') return undefined;
  return activation === 'softmax' ? crossEntropy() : crossEntropy({ from: 'probabilities' });
}

/** The cross-entropies of `tf.losses`, which take logits: with these, too, plugins know what is trained. */
function readLogitsLoss(compute: CompiledFunction, { gives }: Head): Loss | undefined {
  if (gives === 'probabilities') return undefined;
  const { softmaxCrossEntropy, sigmoidCrossEntropy } = tf.losses;
  const none = tf.Reduction.NONE;
  if (compute === softmaxCrossEntropy) {
    return {
      ...{ name: 'softmaxCrossEntropy', classIds: true, targets: 'distributions' },
      ...{ from: 'logits', activation: 'softmax' },
      perExample: (output, target) =>
        meanPerExample(softmaxCrossEntropy(target, output, undefined, 0, none)),
      metrics: () => ({}),
    };
  }
  if (compute !== sigmoidCrossEntropy) return undefined;
  return {
    ...{ name: 'sigmoidCrossEntropy', classIds: false, targets: 'probabilities' },
    ...{ from: 'logits', activation: 'sigmoid' },
    perExample: (output, target) =>
      meanPerExample(sigmoidCrossEntropy(target, output, undefined, 0, none)),
    metrics: () => ({}),
  };
}

/** Any function that `compile` takes. */
function readFunction(name: string, compute: CompiledFunction, classes: boolean): Loss {
  return {
    name,
    classIds: classes,
    ...(classes && { targets: 'distributions' as const }),
    perExample: (output, target) => averagePerExample(name, compute(target, output), output),
    metrics: () => ({}),
  };
}

function averagePerExample(name: string, values: Tensor, output: Tensor): Tensor1D {
  const size = output.shape[0]!;
  if (!(values instanceof tf.Tensor)) throw noTensorError(name, values);
  if (values.rank === 0) return tf.mul(values, tf.ones([size]));
  if (values.shape[0] === size) return meanPerExample(values);
  throw new EspalierError('attach/loss-shape', {
    problem: `the loss '${name}' gives a tensor of shape [${values.shape.join(', ')}] for ${size} examples`,
    received: values.shape,
    fix: 'A loss (yTrue, yPred) gives one value, or one for each example or element: [batch, …].',
  });
}

function noTensorError(name: string, received: unknown): EspalierError {
  return new EspalierError('attach/loss-shape', {
    problem: `the loss '${name}' does not give a tensor`,
    received,
    fix: 'Return the tensor that it computes from (yTrue, yPred); it must not be async.',
  });
}

/** A session runs a model that ends in the activation of its loss without it. */
function readActivation(loss: Loss, { gives, hasLogits, activation }: Head): (x: Tensor) => Tensor {
  const without = loss.readAs && gives === 'probabilities' && hasLogits;
  if (!without || activation !== loss.activation) return keep;
  return activation === 'softmax' ? tf.softmax : tf.sigmoid;
}

function keep(y: Tensor): Tensor {
  return y;
}

/** `[batch, …, 1]` of floats, as tfjs takes them, to ids `[batch, …]`. */
function toClassIds(y: Tensor): Tensor {
  const shape = y.shape.at(-1) === 1 ? y.shape.slice(0, -1) : y.shape;
  return tf.cast(tf.reshape(y, shape), 'int32');
}

function fromClassIds(ids: Tensor): Tensor {
  return tf.cast(tf.expandDims(ids, -1), 'float32');
}
