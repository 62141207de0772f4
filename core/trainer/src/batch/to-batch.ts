import { EspalierError } from '@espalier/base';
import type { RawBatch } from '@espalier/data';
import { checkTarget } from '@espalier/losses';
import type { Loss } from '@espalier/losses';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from './batch.js';
import { hasSteps } from './step-weights.js';
import { countExamples, nameTensors, sumWeights } from './tensors.js';
import { checkIds } from './word-ids.js';
import type { IdInputs } from './word-ids.js';

/** What batches are checked against. */
export interface BatchSpec {
  readonly inputNames: readonly string[];
  readonly idInputs: IdInputs;
  readonly losses: Readonly<Record<string, Loss>>;
  /** Output shapes by name, batch first. */
  readonly outputShapes: Readonly<Record<string, readonly (number | null)[]>>;
  /** Whether sums are divided by the number of examples, not by their weights. */
  readonly countsExamples: boolean;
}

/**
 * Names a raw batch's tensors, checks its targets and sums its weights. The tensors stay the
 * caller's.
 *
 * @throws EspalierError `batch/inputs`, `batch/targets`, `batch/tensors`, `batch/size`,
 * `batch/weights`, `inputs/ids`, `targets/…`.
 */
export async function toBatch(
  raw: RawBatch,
  key: Batch['key'],
  { inputNames, idInputs, losses, outputShapes, countsExamples }: BatchSpec,
): Promise<Batch> {
  const inputs = nameTensors(raw.x, inputNames, 'x');
  const targets = nameTensors(raw.y, Object.keys(losses), 'y');
  const { weights } = raw;
  const size = countExamples({ ...inputs, ...targets, ...(weights && { weights }) });
  const weightSum = await computeWeightSum({ weights, size }, countsExamples);
  await checkIds(idInputs, inputs, weights);
  for (const [name, loss] of Object.entries(losses)) {
    await checkTarget(loss, targets[name]!, { output: name, shape: outputShapes[name]!, weights });
  }
  checkStepWeights(weights, targets);
  return { inputs, targets, ...(weights && { weights }), key, size, weightSum };
}

/** A batch that taps changed, its weights summed again where they or the size are not those of `batch`. */
export async function withWeightSum(
  batch: Batch,
  changed: Batch,
  { countsExamples }: Pick<BatchSpec, 'countsExamples'>,
): Promise<Batch> {
  const { weights, size } = changed;
  if (weights === batch.weights && size === batch.size) return changed;
  return { ...changed, weightSum: await computeWeightSum({ weights, size }, countsExamples) };
}

async function computeWeightSum(
  { weights, size }: { readonly weights: Tensor | undefined; readonly size: number },
  countsExamples: boolean,
): Promise<number> {
  const sum = await sumWeights(weights, size);
  return countsExamples ? (weights?.size ?? size) : sum;
}

/** Weights per step must be those of some output's targets. */
function checkStepWeights(weights: Tensor | undefined, targets: NamedTensors): void {
  if (!weights || weights.rank < 2) return;
  const fits = Object.values(targets).some((target) => hasSteps(target, weights));
  if (fits) return;
  throw new EspalierError('batch/weights', {
    problem: `weights of shape [${weights.shape.join(', ')}] are weights per step, and no output has targets with such steps`,
    received: Object.entries(targets).map(([name, { shape }]) => `${name}: [${shape.join(', ')}]`),
    fix: 'Give each example one weight: [batch].',
  });
}

/** Names a batch without targets, for prediction. */
export function toInputs(x: RawBatch['x'], inputNames: readonly string[]): NamedTensors {
  const inputs = nameTensors(x, inputNames, 'x');
  countExamples(inputs);
  return inputs;
}
