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
 * @throws EspalierError `batch/inputs`, `batch/targets`, `batch/size`, `targets/shape`, `targets/range`.
 */
export async function toBatch(
  raw: RawBatch,
  key: Batch['key'],
  { inputNames, losses, outputShapes }: BatchSpec,
): Promise<Batch> {
  const inputs = named(raw.x, inputNames, 'batch/inputs', 'x');
  const targets = named(raw.y ?? {}, Object.keys(losses), 'batch/targets', 'y');
  const size = Object.values(inputs)[0]?.shape[0] ?? 0;
  checkSizes(size, { ...inputs, ...targets, ...(raw.weights && { weights: raw.weights }) });
  for (const [name, loss] of Object.entries(losses)) {
    await checkTarget(loss, name, targets[name]!, outputShapes[name]!);
  }
  const weights = await raw.weights?.data<'float32'>();
  const weightSum = weights ? weights.reduce((a, b) => a + b, 0) : size;
  const { weights: tensor } = raw;
  return { inputs, targets, ...(tensor && { weights: tensor }), key, size, weightSum };
}

/** Names a batch without targets, for prediction. */
export function toInputs(x: RawBatch['x'], inputNames: readonly string[]): NamedTensors {
  return named(x, inputNames, 'batch/inputs', 'x');
}

function named(
  given: Tensor | NamedTensors,
  names: readonly string[],
  code: string,
  what: string,
): NamedTensors {
  const record = isTensor(given) ? { [names[0] ?? '']: given } : given;
  const missing = names.filter((name) => !record[name]);
  if (missing.length === 0 && (!isTensor(given) || names.length === 1)) return record;
  throw new EspalierError(code, {
    problem: `the batch's ${what} must have the tensors '${names.join("', '")}'`,
    received: isTensor(given) ? 'a single tensor' : Object.keys(record).join(', ') || 'nothing',
    fix: `Give ${what} as { ${names.join(': …, ')}: … }.`,
  });
}

function isTensor(given: Tensor | NamedTensors): given is Tensor {
  return Array.isArray((given as Tensor).shape);
}

function checkSizes(size: number, tensors: NamedTensors): void {
  for (const [name, tensor] of Object.entries(tensors)) {
    if (tensor.shape[0] === size && size > 0) continue;
    throw new EspalierError('batch/size', {
      problem: `'${name}' has ${tensor.shape[0] ?? 0} examples where the batch has ${size}`,
      received: tensor.shape,
      fix: 'All tensors of a batch need the same, non-zero first dimension.',
    });
  }
}
