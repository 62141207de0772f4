import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { TargetKind } from './loss.js';

/** What a target that breaks a rule holds, and in which row or element. */
export interface Fault {
  readonly unit: number;
  readonly received: unknown;
}

/** A fault and where it is. */
export interface PlacedFault extends Fault {
  readonly output: string;
  readonly example: number;
  readonly classes: number;
}

type Values = ArrayLike<number>;

/** What targets must be, on the host and on the device. */
export interface Rule {
  readonly kind: TargetKind | 'ids';
  /** Whether it is about rows of the last axis, not about single numbers. */
  readonly perRow: boolean;
  /** The first fault among the units that count. */
  find(values: Values, classes: number, counts: (unit: number) => boolean): Fault | undefined;
  /** Where it holds: for each row or number. */
  test(target: Tensor, classes: number): Tensor;
  refuse(fault: PlacedFault): EspalierError;
}

/** How far sums and bounds may be missed: float32, and labels that were softened or mixed. */
export const TOLERANCE = 1e-3;

const isProbability = (value: number) => value >= -TOLERANCE && value <= 1 + TOLERANCE;
const between = (target: Tensor, least: number, most: number) =>
  tf.logicalAnd(tf.greaterEqual(target, least), tf.lessEqual(target, most));

/** A rule about single numbers. */
function eachNumber(isRight: (value: number, classes: number) => boolean): Rule['find'] {
  return (values, classes, counts) => {
    for (let unit = 0; unit < values.length; unit++) {
      const received = values[unit]!;
      if (!isRight(received, classes) && counts(unit)) return { unit, received };
    }
    return undefined;
  };
}

function findNoDistribution(values: Values, classes: number, counts: (unit: number) => boolean) {
  for (let unit = 0; unit < values.length / classes; unit++) {
    let [sum, least] = [0, 0];
    for (let i = unit * classes; i < (unit + 1) * classes; i++) {
      sum += values[i]!;
      if (values[i]! < least) least = values[i]!;
    }
    if (Math.abs(sum - 1) <= TOLERANCE && least >= -TOLERANCE) continue;
    if (counts(unit)) return { unit, received: least < -TOLERANCE ? least : sum };
  }
  return undefined;
}

/** The rules by name. */
export const RULES: Readonly<Record<Rule['kind'], Rule>> = {
  ids: {
    kind: 'ids',
    perRow: false,
    find: eachNumber((id, classes) => id >= 0 && id < classes && Number.isInteger(id)),
    test: (ids, classes) =>
      tf.logicalAnd(between(ids, 0, classes - 1), tf.equal(tf.floor(ids), ids)),
    refuse: ({ output, unit, classes, received }) =>
      new EspalierError('targets/range', {
        problem: `the targets of output '${output}' must be class ids from 0 to ${classes - 1}; position ${unit} of the batch is not`,
        received,
        fix: 'Check the label encoding, or give the output layer more units.',
      }),
  },
  distributions: {
    kind: 'distributions',
    perRow: true,
    find: findNoDistribution,
    test: (target) =>
      tf.logicalAnd(
        tf.all(tf.greaterEqual(target, -TOLERANCE), -1),
        tf.lessEqual(tf.abs(tf.sub(tf.sum(target, -1), 1)), TOLERANCE),
      ),
    refuse: ({ output, example, classes, received }) =>
      new EspalierError('targets/distribution', {
        problem: `the targets of output '${output}' must be distributions over its ${classes} classes, none negative, of sum 1; in example ${example} of the batch ${Number(received) < 0 ? 'one is negative' : 'the sum is another'}`,
        received,
        fix: 'Divide by the sum; for labels that do not exclude each other use binaryCrossEntropy(), for other numbers meanSquaredError().',
      }),
  },
  probabilities: {
    kind: 'probabilities',
    perRow: false,
    find: eachNumber(isProbability),
    test: (target) => between(target, -TOLERANCE, 1 + TOLERANCE),
    refuse: ({ output, example, received }) =>
      new EspalierError('targets/probability', {
        problem: `the targets of output '${output}' must lie between 0 and 1; in example ${example} of the batch one does not`,
        received,
        fix: 'Give 0 and 1 for no and yes (not −1 and 1); for class ids use crossEntropy(), for other numbers meanSquaredError().',
      }),
  },
  numbers: {
    kind: 'numbers',
    perRow: false,
    find: eachNumber(Number.isFinite),
    test: tf.isFinite,
    refuse: ({ output, example, received }) =>
      new EspalierError('targets/not-finite', {
        problem: `the targets of output '${output}' must be finite numbers; in example ${example} of the batch one is not`,
        received,
        fix: 'Leave examples without a target out, or give them the weight 0.',
      }),
  },
};
