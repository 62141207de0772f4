import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import type { LayerVariable } from '@tensorflow/tfjs-layers';

/** What tfjs-layers keeps in a variable and does not show. */
interface Inside {
  readonly val: Variable;
  readonly constraint?: { apply(value: Tensor): Tensor } | null;
}

/** The values that Espalier wrote last, by what holds them on the device. */
const written = new WeakMap<Variable, object>();

const accessInside = (variable: LayerVariable) => variable as unknown as Inside;

/**
 * Copies a value in bit for bit. `LayerVariable.write` would apply the weight's constraint to it, and
 * what was saved, or computed elsewhere, would not be what is read.
 */
export function writeExactly(variable: LayerVariable, value: Tensor): void {
  const { val } = accessInside(variable);
  if (val !== value) val.assign(value);
  written.set(val, val.dataId);
}

/** Whether a value is one that {@link writeExactly} wrote, for this run or for another. */
export function isWrittenExactly(variable: LayerVariable): boolean {
  const { val } = accessInside(variable);
  return written.get(val) === val.dataId;
}

/** Whether a weight has a constraint. */
export function hasConstraint(variable: LayerVariable): boolean {
  return Boolean(accessInside(variable).constraint);
}

/**
 * What a weight's constraint makes of its new value; the value itself where it has none.
 *
 * @throws EspalierError `parameters/constraint` naming the weight.
 */
export function constrain(variable: LayerVariable, path: string, value: Tensor): Tensor {
  const { constraint } = accessInside(variable);
  if (!constraint) return value;
  const result = applyConstraint(constraint, path, value);
  if (result instanceof tf.Tensor && tf.util.arraysEqual(result.shape, value.shape)) return result;
  throw new EspalierError('parameters/constraint', {
    problem: `the constraint of '${path}' must give a tensor of shape [${value.shape.join(', ')}]`,
    received: result,
  });
}

function applyConstraint(
  constraint: NonNullable<Inside['constraint']>,
  path: string,
  value: Tensor,
) {
  try {
    return constraint.apply(value);
  } catch (cause) {
    throw new EspalierError('parameters/constraint', {
      problem: `the constraint of '${path}' failed: ${cause instanceof Error ? cause.message : cause}`,
      fix: 'Check that it fits the shape of the weight, e.g. its axis.',
      cause,
    });
  }
}
