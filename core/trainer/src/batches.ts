import type { Batch, NamedTensors } from './batch.js';
import { checkTarget } from '@espalier/losses';
import type { Loss } from '@espalier/losses';
import type { RawBatch } from '@espalier/data';
import { exampleCount, namedTensors, sumWeights } from '@espalier/data/tensors';

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
 * `batch/weights`, `targets/…`.
 */
export async function toBatch(
  raw: RawBatch,
  key: Batch['key'],
  { inputNames, losses, outputShapes }: BatchSpec,
): Promise<Batch> {
  const inputs = namedTensors(raw.x, inputNames, 'x');
  const targets = namedTensors(raw.y, Object.keys(losses), 'y');
  const { weights } = raw;
  const size = exampleCount({ ...inputs, ...targets, ...(weights && { weights }) });
  const weightSum = await sumWeights(weights, size);
  for (const [name, loss] of Object.entries(losses)) {
    await checkTarget(loss, targets[name]!, { output: name, shape: outputShapes[name]!, weights });
  }
  return { inputs, targets, ...(weights && { weights }), key, size, weightSum };
}

/** A batch as taps changed it, its weights summed anew where they or the size are other ones. */
export async function weighed(batch: Batch, changed: Batch): Promise<Batch> {
  const { weights, size } = changed;
  if (weights === batch.weights && size === batch.size) return changed;
  return { ...changed, weightSum: await sumWeights(weights, size) };
}

/** Names a batch without targets, for prediction. */
export function toInputs(x: RawBatch['x'], inputNames: readonly string[]): NamedTensors {
  const inputs = namedTensors(x, inputNames, 'x');
  exampleCount(inputs);
  return inputs;
}
