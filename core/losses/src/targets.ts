import { EspalierError, readLater } from '@espalier/base';
import type { Reading } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type { Loss } from './loss.js';
import { RULES } from './target-rules.js';
import type { Rule } from './target-rules.js';

type Shape = readonly (number | null)[];

/** What targets are for. */
export interface TargetPlace {
  /** Name of the output. */
  readonly output: string;
  /** Its shape, batch first. */
  readonly shape: Shape;
  /** Of the batch `[batch]` or `[batch, steps]`: what weighs 0 is not looked at. */
  readonly weights?: Tensor | undefined;
}

/**
 * Refuses targets that do not fit an output or its loss, before anything is computed with them.
 *
 * @throws EspalierError `targets/shape`, `targets/range`, `targets/distribution`,
 * `targets/probability`, `targets/not-finite`.
 * @example
 * await checkTarget(crossEntropy(), targets['logits']!, { output: 'logits', shape: [null, 10] });
 */
export function checkTarget(loss: Loss, target: Tensor, place: TargetPlace): Promise<void> {
  return readLater(readTarget(loss, target, place));
}

/**
 * {@link checkTarget} as work that may be done at once, too.
 *
 * @throws EspalierError as {@link checkTarget}.
 * @example
 * readNow(readTarget(crossEntropy(), targets['logits']!, { output: 'logits', shape: [null, 10] }));
 */
export function* readTarget(loss: Loss, target: Tensor, place: TargetPlace): Reading<void> {
  checkTargetShape(loss, target, place);
  const rule = ruleFor(loss, target, place.shape);
  if (!rule || isChecked(rule, target, place)) return;
  const values = yield target;
  const weights = place.weights && (yield place.weights);
  const { classes, find } = rule;
  const units = values.length / (rule.perRow ? classes : 1);
  const counts = (unit: number) => weights?.[Math.floor((unit * weights.length) / units)] !== 0;
  const fault = find(values, classes, counts);
  if (fault) {
    const example = Math.floor((fault.unit * target.shape[0]!) / units);
    throw rule.refuse({ ...fault, ...place, example, classes });
  }
  if (!(target instanceof tf.Variable)) checked.set(target, { rule: ruleKey(rule), ...place });
}

/**
 * Refuses targets whose shape does not fit the output and its loss.
 *
 * @throws EspalierError `targets/shape`.
 * @example
 * checkTargetShape(crossEntropy(), tf.tensor1d([2, 0], 'int32'), { output: 'logits', shape: [null, 3] });
 */
export function checkTargetShape(
  loss: Loss,
  target: Tensor,
  { output, shape }: Pick<TargetPlace, 'output' | 'shape'>,
): void {
  const expected = hasIds(loss, target, shape) ? shape.slice(0, -1) : shape;
  if (fits(target.shape, expected)) return;
  const oneMore = loss.classIds && fits(target.shape, [...shape.slice(0, -1), 1]);
  throw new EspalierError('targets/shape', {
    problem: `the targets of output '${output}' have shape [${target.shape.join(', ')}]; ${loss.name} wants [${describe(shape, loss)}]`,
    received: target.shape,
    fix: oneMore
      ? 'Class ids come without the last axis of length 1: tf.squeeze(y, [-1]).'
      : 'Reshape the targets, or give the output layer as many units as they have numbers.',
  });
}

/**
 * 1 for each example `[batch]` whose targets are what the losses demand, 0 where they are not; nothing
 * where {@link checkTarget} has seen them all. On the device, for what comes out of taps.
 *
 * @example
 * const fits = testTargets({ logits: crossEntropy() }, targets, { logits: [null, 10] });
 */
export function testTargets(
  losses: Readonly<Record<string, Loss>>,
  targets: Readonly<Record<string, Tensor>>,
  shapes: Readonly<Record<string, Shape>>,
  weights?: Tensor,
): Tensor1D | undefined {
  const tested = Object.entries(losses).flatMap(([output, loss]) => {
    const target = targets[output]!;
    const shape = shapes[output]!;
    const rule = ruleFor(loss, target, shape);
    if (!rule || isChecked(rule, target, { output, shape, weights })) return [];
    return [perExample(rule.test(tf.cast(target, 'float32'), rule.classes), weights)];
  });
  return tested.length === 0 ? undefined : tested.reduce((a, b) => tf.logicalAnd(a, b));
}

/** Whether all that counts of each example is right. */
function perExample(right: Tensor, weights: Tensor | undefined): Tensor1D {
  const axes = right.shape.map((_, i) => i).slice(1);
  if (!weights) return tf.all(right, axes);
  const fits = tf.util.arraysEqual(right.shape.slice(0, weights.rank), weights.shape);
  const given = fits ? weights : tf.max(tf.reshape(weights, [weights.shape[0]!, -1]), 1);
  const shape = right.shape.map((size, i) => (i < given.rank ? size : 1));
  const masked = tf.equal(tf.reshape(given, shape), 0);
  return tf.all(tf.logicalOr(right, masked), axes);
}

type Applied = Rule & { readonly classes: number };

function ruleFor(loss: Loss, target: Tensor, shape: Shape): Applied | undefined {
  const kind = hasIds(loss, target, shape) ? 'ids' : loss.targets;
  return kind && { ...RULES[kind], classes: shape.at(-1) ?? Infinity };
}

function hasIds({ classIds }: Loss, target: Tensor, shape: Shape): boolean {
  return classIds && target.rank === shape.length - 1;
}

function fits(given: readonly number[], expected: Shape): boolean {
  const same = (size: number | null, i: number) => i === 0 || size === null || size === given[i];
  return given.length === expected.length && expected.every(same);
}

function describe(shape: Shape, loss: Loss): string {
  const text = (dims: Shape) => ['batch', ...dims.slice(1)].join(', ');
  return loss.classIds
    ? `${text(shape.slice(0, -1))}] (class ids) or [${text(shape)}`
    : text(shape);
}

/** Targets that were found right: for which rule and, if some weighed 0, by which weights. */
const checked = new WeakMap<Tensor, Pick<TargetPlace, 'weights'> & { readonly rule: string }>();

function isChecked(rule: Applied, target: Tensor, { weights }: TargetPlace): boolean {
  const found = checked.get(target);
  return found?.rule === ruleKey(rule) && (!found.weights || found.weights === weights);
}

function ruleKey({ kind, classes }: Applied): string {
  return `${kind} ${classes}`;
}
