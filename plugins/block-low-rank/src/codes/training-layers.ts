import { countHostBytes, createStorage, nameWeights, readStorages } from '@espalier/compression';
import type { ChosenLayers, StorableMatrix, StoredEdit } from '@espalier/compression';
import { toCanonicalName } from '@espalier/core';
import type { ModelGraph } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { BlockCodedMatrix } from './code-matrix.js';
import { expandCodes } from './expand-codes.js';
import { findTied, noteTiedRules } from './tie-layers.js';
import { finishTraining, startTraining } from './train-codes.js';
import type { TrainingMatrix } from './train-codes.js';
import { BLOCK_CODES_TRAINING, computeTrainingLayout } from './training-layout.js';
import type { BlockCodesTrainingConfig } from './training-layout.js';

/** The matrices that train for codes, of the layers that are meant. */
export function findTraining(
  { topology, ownNames = {} }: ModelGraph,
  { layers }: Pick<ChosenLayers, 'layers'>,
): readonly StorableMatrix[] {
  const entries = topology.config.layers;
  const known = entries.map(({ name }) => name);
  const meant =
    layers === 'auto' ? known : layers.map((name) => toCanonicalName(name, known, ownNames));
  return entries
    .filter(({ name }) => meant.includes(name))
    .flatMap((entry) =>
      Object.entries(readStorages(entry) ?? {}).flatMap(([matrix, storage]) => {
        if (storage.kind !== BLOCK_CODES_TRAINING) return [];
        const { shape } = storage as BlockCodesTrainingConfig;
        return [{ layer: entry.name, matrix, shape, storage, className: entry.className }];
      }),
    );
}

/** The chosen layers without those that train. */
export function leaveOut<O extends Pick<ChosenLayers, 'layers'>>(
  options: O,
  graph: ModelGraph,
  training: readonly StorableMatrix[],
): O {
  if (options.layers === 'auto') return options;
  const { topology, ownNames = {} } = graph;
  const known = topology.config.layers.map(({ name }) => name);
  const trains = (name: string) =>
    training.some(({ layer }) =>
      [layer, findTied(graph, layer)?.name].includes(toCanonicalName(name, known, ownNames)),
    );
  return { ...options, layers: options.layers.filter((name) => !trains(name)) };
}

/** An edit that lets a matrix train for codes in the place of one that puts it into codes. */
export function trainFirst(
  { place, ...edit }: StoredEdit,
  { weights }: BlockCodedMatrix,
): StoredEdit {
  const [rows, columns] = place.shape;
  const config = edit.config as BlockCodedMatrix['config'];
  const training = startTraining({ rows, columns, config, weights });
  return {
    ...edit,
    place,
    config: training.config,
    weights: nameWeights(place.matrix, training.weights),
    summary: `${edit.summary}, in training`,
  };
}

/**
 * The edit that puts a matrix that has trained into codes. Its error is that of rounding what training does not
 * round.
 *
 * @throws EspalierError `block-codes/not-finite`.
 */
export async function finishMatrix(graph: ModelGraph, place: StorableMatrix): Promise<StoredEdit> {
  const { layer, matrix, shape, storage } = place;
  const [rows, columns] = shape;
  const read = (weight: string) => graph.weights[`${layer}/${weight}`]!;
  const parts = Object.keys(computeTrainingLayout(storage, shape).parts);
  const weights = await Promise.all(
    parts.map(async (part) => [part, await read(`${matrix}_${part}`).data()] as const),
  );
  const coded = await finishTraining({
    ...{ rows, columns, config: storage as BlockCodesTrainingConfig },
    weights: Object.fromEntries(weights) as TrainingMatrix['weights'],
  });
  const used = tf.tidy(() => createStorage(matrix, shape, storage).slice(read, 0, rows));
  const before = await used.data<'float32'>();
  used.dispose();
  const named = nameWeights(matrix, coded.weights);
  const edit = {
    ...{ place, config: coded.config, weights: named },
    summary: describe(coded.config.blocks.length, countHostBytes(named), rows * columns),
    ...compare(before, expandCodes(coded).data),
  };
  return noteTiedRules(edit, findTied(graph, layer), false);
}

/** `3 blocks, 2.1 bits a number, trained`. */
function describe(blocks: number, bytes: number, numbers: number): string {
  const bits = ((8 * bytes) / numbers).toFixed(1);
  return `${blocks === 1 ? '1 block' : `${blocks} blocks`}, ${bits} bits a number, trained`;
}

function compare(before: Float32Array, after: Float32Array): Pick<StoredEdit, 'error' | 'norm'> {
  let [error, norm] = [0, 0];
  for (let i = 0; i < before.length; i++) {
    error += (before[i]! - after[i]!) ** 2;
    norm += before[i]! ** 2;
  }
  return { error, norm };
}
