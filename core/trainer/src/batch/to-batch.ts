import { EspalierError } from '@espalier/base';
import type { Reading } from '@espalier/base';
import type { RawBatch } from '@espalier/data';
import { readTarget } from '@espalier/losses';
import type { Loss } from '@espalier/losses';
import type { OwnNames } from '@espalier/model';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from './batch.js';
import { hasSteps } from './step-weights.js';
import { countExamples, nameTensors, readWeights } from './tensors.js';
import { readIds } from './word-ids.js';
import type { IdInputs } from './word-ids.js';

/** What batches are checked against. */
export interface BatchSpec {
  readonly inputNames: readonly string[];
  /** What inputs and outputs are called in the user's own model. */
  readonly ownNames: OwnNames;
  readonly idInputs: IdInputs;
  readonly losses: Readonly<Record<string, Loss>>;
  /** Output shapes by name, batch first. */
  readonly outputShapes: Readonly<Record<string, readonly (number | null)[]>>;
  /** Whether sums are divided by the number of examples, not by their weights. */
  readonly countsExamples: boolean;
}

/**
 * Names a raw batch's tensors, checks its ids and targets and sums its weights, reading tensors where
 * it must. They stay the caller's.
 *
 * @throws EspalierError `batch/inputs`, `batch/targets`, `batch/tensors`, `batch/size`,
 * `batch/weights`, `inputs/ids`, `targets/…`.
 */
export function* readBatch(
  raw: RawBatch,
  key: Batch['key'],
  { inputNames, ownNames, idInputs, losses, outputShapes, countsExamples }: BatchSpec,
): Reading<Batch> {
  const inputs = nameTensors(raw.x, { names: inputNames, ownNames }, 'x');
  const targets = nameTensors(raw.y, { names: Object.keys(losses), ownNames }, 'y');
  const { weights } = raw;
  const size = countExamples({ ...inputs, ...targets, ...(weights && { weights }) });
  const weightSum = yield* computeWeightSum({ weights, size }, countsExamples);
  yield* readIds(idInputs, inputs, weights);
  for (const [name, loss] of Object.entries(losses)) {
    yield* readTarget(loss, targets[name]!, { output: name, shape: outputShapes[name]!, weights });
  }
  checkStepWeights(weights, targets);
  return { inputs, targets, ...(weights && { weights }), key, size, weightSum };
}

/** A batch that taps changed, its weights summed again where they or the size are not those of `batch`. */
export function* withWeightSum(
  batch: Batch,
  changed: Batch,
  { countsExamples }: Pick<BatchSpec, 'countsExamples'>,
): Reading<Batch> {
  const { weights, size } = changed;
  if (weights === batch.weights && size === batch.size) return changed;
  return { ...changed, weightSum: yield* computeWeightSum({ weights, size }, countsExamples) };
}

function* computeWeightSum(
  { weights, size }: { readonly weights: Tensor | undefined; readonly size: number },
  countsExamples: boolean,
): Reading<number> {
  const sum = yield* readWeights(weights, size);
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
export function toInputs(
  x: RawBatch['x'],
  { inputNames: names, ownNames }: Pick<BatchSpec, 'inputNames' | 'ownNames'>,
): NamedTensors {
  const inputs = nameTensors(x, { names, ownNames }, 'x');
  countExamples(inputs);
  return inputs;
}
