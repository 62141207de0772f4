import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from './batch.js';
import { EspalierError } from '@espalier/errors';
import { checkTarget } from '@espalier/losses';
import type { Loss } from '@espalier/losses';
import type { RawBatch } from '@espalier/data';

/** What batches are checked against. */
export interface BatchSpec {
  readonly inputNames: readonly string[];
  readonly losses: Readonly<Record<string, Loss>>;
  /** Output shapes by name, batch first. */
  readonly outputShapes: Readonly<Record<string, readonly (number | null)[]>>;
}

/**
 * Names a raw batch's tensors, checks its targets and sums its weights. The tensors stay the
 * caller's.
 *
 * @throws EspalierError `batch/inputs`, `batch/targets`, `batch/tensors`, `batch/size`,
 * `batch/weights`, `targets/shape`, `targets/range`.
 */
export async function toBatch(
  raw: RawBatch,
  key: Batch['key'],
  { inputNames, losses, outputShapes }: BatchSpec,
): Promise<Batch> {
  const inputs = named(raw?.x, inputNames, 'batch/inputs', 'x');
  const targets = named(raw.y, Object.keys(losses), 'batch/targets', 'y');
  const size = Object.values(inputs)[0]?.shape?.[0] ?? 0;
  checkSizes(size, { ...inputs, ...targets, ...(raw.weights && { weights: raw.weights }) });
  for (const [name, loss] of Object.entries(losses)) {
    await checkTarget(loss, name, targets[name]!, outputShapes[name]!);
  }
  const { weights } = raw;
  const weightSum = await sumOf(weights, size);
  return { inputs, targets, ...(weights && { weights }), key, size, weightSum };
}

/** A batch as taps changed it, its weights summed anew where they or the size are other ones. */
export async function weighed(batch: Batch, changed: Batch): Promise<Batch> {
  const { weights, size } = changed;
  if (weights === batch.weights && size === batch.size) return changed;
  return { ...changed, weightSum: await sumOf(weights, size) };
}

/** @throws EspalierError `batch/weights`. */
async function sumOf(weights: Tensor | undefined, size: number): Promise<number> {
  if (!weights) return size;
  const values = await weights.data<'float32'>();
  const bad = values.findIndex((value) => !(value >= 0 && value < Infinity));
  if (weights.rank === 1 && bad < 0) return values.reduce((a, b) => a + b, 0);
  throw new EspalierError('batch/weights', {
    problem: `weights must be [${size}], each finite and 0 or more`,
    received: bad < 0 ? weights : values[bad],
    fix: 'Give each example one weight; 0 masks it out.',
  });
}

/** Names a batch without targets, for prediction. */
export function toInputs(x: RawBatch['x'], inputNames: readonly string[]): NamedTensors {
  const inputs = named(x, inputNames, 'batch/inputs', 'x');
  checkSizes(Object.values(inputs)[0]?.shape?.[0] ?? 0, inputs);
  return inputs;
}

function named(
  given: Tensor | NamedTensors | undefined,
  names: readonly string[],
  code: string,
  what: string,
): NamedTensors {
  const record = isTensor(given) ? { [names[0] ?? '']: given } : (given ?? {});
  const missing = names.filter((name) => !record[name]);
  if (missing.length === 0 && (!isTensor(given) || names.length === 1)) return record;
  throw new EspalierError(code, {
    problem: `the batch's ${what} must have the tensors '${names.join("', '")}'`,
    received: isTensor(given) ? given : Object.keys(record),
    fix: `Give ${what} as { ${names.join(': …, ')}: … }.`,
  });
}

function isTensor(given: unknown): given is Tensor {
  return given instanceof tf.Tensor;
}

function checkSizes(size: number, tensors: NamedTensors): void {
  for (const [name, tensor] of Object.entries(tensors)) {
    if (!isTensor(tensor) || tensor.isDisposed) {
      throw new EspalierError('batch/tensors', {
        problem: `'${name}' of the batch must be a live tensor`,
        received: tensor,
        fix: 'Make a tensor of it, e.g. tf.tensor(…), for each batch anew: the trainer disposes those of a source.',
      });
    }
    if (tensor.shape[0] === size && size > 0) continue;
    throw new EspalierError('batch/size', {
      problem: `'${name}' has ${tensor.shape[0] ?? 'no'} examples where the batch has ${size}`,
      received: tensor,
      fix: 'All tensors of a batch need the same, non-zero first dimension.',
    });
  }
}
