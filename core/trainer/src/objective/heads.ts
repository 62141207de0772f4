import { EspalierError } from '@espalier/base';
import type { Loss, OutputKind } from '@espalier/losses';
import type { Head, Network } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import type { Semantics } from '../settings.js';

/** Losses as the model's heads make them. */
export interface FittedLosses {
  readonly losses: Readonly<Record<string, Loss>>;
  /** Outputs that the run takes before the softmax or sigmoid that they end in. */
  readonly logits: readonly string[];
}

/**
 * Fits losses to the model: those that take logits or probabilities learn from its heads which of the
 * two they get.
 *
 * @throws EspalierError `loss/from`, `loss/head`, `loss/one-unit`, `loss/shared-head`.
 */
export function fitLosses(
  losses: Readonly<Record<string, Loss>>,
  { heads, outputShapes }: Pick<Network, 'heads' | 'outputShapes'>,
  semantics: Semantics,
): FittedLosses {
  const fitted = Object.entries(losses).map(([output, loss]) => {
    const head = heads[output]!;
    refuseOneUnit(loss, output, outputShapes[output]!);
    return [output, fitLoss(loss, { output, head }, semantics)] as const;
  });
  const found = Object.fromEntries(fitted);
  const logits = Object.keys(found).filter(
    (output) => found[output]!.from === 'logits' && heads[output]!.gives === 'probabilities',
  );
  refuseShared(found, logits, heads);
  return { losses: found, logits };
}

/** @throws EspalierError `model/output-shape` for a layer of tfjs that computes another shape than it declares. */
export function checkOutputShape(
  output: string,
  { shape }: tf.Tensor,
  declared: readonly (number | null)[],
): void {
  const fits = (size: number, i: number) => declared[i] === null || declared[i] === size;
  if (shape.length === declared.length && shape.every(fits)) return;
  throw new EspalierError('model/output-shape', {
    problem: `output '${output}' has the shape [${shape.join(', ')}], and its layer says [${declared.map((size) => size ?? 'batch').join(', ')}]: which number a target belongs to cannot be told`,
    received: shape,
    fix: "conv1d of TensorFlow.js does so with dataFormat: 'channelsFirst'. Take 'channelsLast' between two permute layers.",
  });
}

interface Place {
  readonly output: string;
  readonly head: Head;
}

function fitLoss(loss: Loss, place: Place, semantics: Semantics): Loss {
  const { gives, activation, hasLogits } = place.head;
  const { from } = loss;
  refuseContradiction(loss, place);
  if (!loss.readAs) return loss;
  if (gives !== 'probabilities') return loss.readAs(from ?? 'logits');
  if (hasLogits && activation === loss.activation) {
    return semantics === 'espalier' ? loss.readAs('logits') : ofActivated(loss);
  }
  if (semantics === 'tfjs' || from === 'probabilities') return loss.readAs('probabilities');
  throw otherHead(loss, place);
}

/** The loss of what the softmax or sigmoid makes of logits, which is what tfjs differentiates. */
function ofActivated(loss: Loss): Loss {
  const { activation, ...read } = loss.readAs!('probabilities');
  const activate = activation === 'softmax' ? tf.softmax : tf.sigmoid;
  return {
    ...read,
    activation: activation!,
    from: 'logits',
    perExample: (output, ...rest) => read.perExample(activate(output), ...rest),
    metrics: (output, ...rest) => read.metrics(activate(output), ...rest),
  };
}

function refuseContradiction(loss: Loss, { output, head }: Place): void {
  const { layer, gives, activation, hasLogits } = head;
  const says: OutputKind | undefined = loss.from;
  const wrong =
    (says === 'probabilities' && gives === 'values') ||
    (says === 'logits' && gives === 'probabilities' && (loss.readAs !== undefined || !hasLogits));
  if (!wrong) return;
  const what = activation ? `ends in the activation ${activation}` : `gives ${gives}`;
  throw new EspalierError('loss/from', {
    problem: `the loss ${loss.name} of output '${output}' says from: '${says}', but layer '${layer}' ${what}, so the output is ${says === 'logits' ? 'probabilities' : 'no probabilities'}`,
    fix:
      says === 'logits' && hasLogits
        ? 'Leave from out: the loss is trained on the logits before that activation.'
        : says === 'logits'
          ? "Say from: 'probabilities', or end the model in a layer without that activation."
          : `Leave from out, or end the model in ${loss.activation ?? 'softmax'}.`,
  });
}

function otherHead({ name, activation: wanted }: Loss, { output, head }: Place): EspalierError {
  const { layer, activation } = head;
  const other = wanted === 'softmax' ? 'binaryCrossEntropy()' : 'crossEntropy()';
  const mixed = UNDONE.includes(activation ?? '') && activation !== wanted;
  return new EspalierError('loss/head', {
    problem: `the loss ${name} takes the logits before a ${wanted}, but layer '${layer}', which makes output '${output}', ${mixed ? `ends in ${activation}` : `gives probabilities whose logits cannot be computed`}`,
    fix: `${mixed ? `Use ${other}, or end the model in ${wanted}.` : `End the model in a layer with the activation ${wanted} that no other layer uses.`} To train on the probabilities as they are: from: 'probabilities'.`,
  });
}

const UNDONE: readonly string[] = ['softmax', 'sigmoid'];

/** Its softmax is 1 and its cross-entropy 0, whatever the model does. */
function refuseOneUnit(loss: Loss, output: string, shape: readonly (number | null)[]): void {
  if (loss.activation !== 'softmax' || shape.at(-1) !== 1) return;
  throw new EspalierError('loss/one-unit', {
    problem: `output '${output}' has one unit, and over one class the loss ${loss.name} is always 0`,
    received: shape,
    fix: 'Use binaryCrossEntropy() for one unit, or give the output layer a unit for each class.',
  });
}

/** A layer runs with its activation or without it, in all of its calls. */
function refuseShared(
  losses: Readonly<Record<string, Loss>>,
  logits: readonly string[],
  heads: Network['heads'],
): void {
  const layers = logits.map((output) => heads[output]!.layer);
  const other = Object.keys(losses).find(
    (output) => !logits.includes(output) && layers.includes(heads[output]!.layer),
  );
  if (other === undefined) return;
  throw new EspalierError('loss/shared-head', {
    problem: `layer '${heads[other]!.layer}' makes output '${other}', whose loss takes what it gives, and another output, whose loss takes its logits`,
    fix: 'Give both outputs losses of one kind, or a layer each.',
  });
}
