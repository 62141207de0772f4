import { EspalierError } from '@espalier/base';
import type { Reading } from '@espalier/base';
import type { IdInput } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { NamedTensors } from './batch.js';

/** What inputs are checked against: by name, those that feed embeddings. */
export type IdInputs = Readonly<Record<string, IdInput>>;

/** Ids that were found right: for how many rows and, if some weighed 0, by which weights. */
const checked = new WeakMap<Tensor, { readonly rows: number; readonly weights?: Tensor }>();

/**
 * Refuses word ids that name no row of their embedding: tfjs would take NaN for 0, cut 1.5 to 1, and
 * read beside the matrix. A tensor is read once, before it is computed with: what comes from the host
 * is still there. Examples of weight 0 may hold anything.
 *
 * @throws EspalierError `inputs/ids`.
 */
export function* readIds(
  idInputs: IdInputs,
  inputs: NamedTensors,
  weights?: Tensor,
): Reading<void> {
  for (const [name, ids] of Object.entries(idInputs)) {
    const tensor = inputs[name];
    if (!tensor || isChecked(tensor, ids, weights)) continue;
    yield* readInput(name, ids, { tensor, weights });
    if (!(tensor instanceof tf.Variable)) checked.set(tensor, { rows: ids.rows, weights });
  }
}

function isChecked(tensor: Tensor, { rows }: IdInput, weights: Tensor | undefined): boolean {
  const found = checked.get(tensor);
  return found !== undefined && found.rows <= rows && (!found.weights || found.weights === weights);
}

function* readInput(
  name: string,
  { rows, layer }: IdInput,
  { tensor, weights }: { readonly tensor: Tensor; readonly weights?: Tensor | undefined },
): Reading<void> {
  const values = yield tensor;
  const weightOf = weights && (yield weights);
  const perExample = values.length / (tensor.shape[0] || 1);
  const perWeight = weightOf && weightOf.length / tensor.shape[0]!;
  const counts = (example: number) =>
    !weightOf ||
    weightOf.subarray(example * perWeight!, (example + 1) * perWeight!).some((w) => w !== 0);
  const isRow = (id: number) => Number.isInteger(id) && id >= 0 && id < rows;
  const wrong = values.findIndex((id, i) => !isRow(id) && counts(Math.floor(i / perExample)));
  if (wrong < 0) return;
  throw new EspalierError('inputs/ids', {
    problem: `input '${name}' feeds the embedding '${layer}' and must hold ids of its rows, whole numbers from 0 to ${rows - 1}; example ${Math.floor(wrong / perExample)} has another`,
    received: values[wrong],
    fix: 'Give words that the vocabulary lacks an id of their own, pad with an id that has a row, or enlarge inputDim.',
  });
}
