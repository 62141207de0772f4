import { findRows, isWordMatrix, listMatrices, readStorages } from '@espalier/compression';
import type {
  ChosenLayers,
  ImportanceWeights,
  Matrix,
  RowSource,
  StorableMatrix,
} from '@espalier/compression';
import { EspalierError, suggest, toCanonicalName } from '@espalier/core';
import type { LayerEntry, ModelGraph } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';

/** A layer whose matrix can be approximated. */
export interface LayerTarget {
  readonly entry: LayerEntry;
  readonly role: 'embedding' | 'softmax';
}

const SIDES: Readonly<Record<string, LayerTarget['role']>> = {
  Embedding: 'embedding',
  Dense: 'softmax',
};

/** The side of a layer with a matrix of numbers, in the model or elsewhere. */
function sideOf(entry: LayerEntry): LayerTarget['role'] | undefined {
  return streamedRows(entry) ? 'embedding' : SIDES[entry.className];
}

/** The rows of an embedding whose matrix is not in the model. */
export function streamedRows(entry: LayerEntry): RowSource | undefined {
  return findRows(readStorages(entry)?.['embeddings']);
}

/** The classes that this plugin puts in their place. */
export const FACTORISED = ['BlockLowRankEmbedding', 'BlockLowRankDense', 'BlockLowRankTiedDense'];

/**
 * The layers to approximate.
 *
 * @param others Whether some have been found already, so that there may be none.
 * @throws EspalierError `model/unknown-layer`, `block-low-rank/layer`, `block-low-rank/nothing`.
 */
export function findTargets(
  graph: ModelGraph,
  { layers, minSize }: ChosenLayers,
  others = false,
): LayerTarget[] {
  const entries = graph.topology.config.layers;
  if (layers !== 'auto') return layers.map((name) => findTarget(name, graph));
  const found = entries.flatMap((entry): LayerTarget[] => {
    const side = sideOf(entry);
    if (!side) return [];
    const [{ shape }] = listMatrices(graph, entry) as [StorableMatrix];
    const large = shape[0] * shape[1] >= minSize;
    return large && isWordMatrix(entry, shape) ? [{ entry, role: side }] : [];
  });
  const some = others || entries.some(({ className }) => FACTORISED.includes(className));
  if (found.length > 0 || some) return found;
  throw new EspalierError('block-low-rank/nothing', {
    problem: `the model has no embedding, and no dense layer with twice as many units as inputs, of ${minSize} numbers or more`,
    fix: 'Name layers: { layers: [ … ] }, or lower minSize.',
  });
}

function findTarget(layer: string, { topology, ownNames = {} }: ModelGraph): LayerTarget {
  const entries = topology.config.layers;
  const known = entries.map((each) => each.name);
  const name = toCanonicalName(layer, known, ownNames);
  const entry = entries.find((each) => each.name === name);
  const able = entries.filter(sideOf).map((each) => each.name);
  if (!entry) {
    throw new EspalierError('model/unknown-layer', {
      problem: `the model has no layer '${name}'`,
      fix: suggest(name, able),
    });
  }
  const side = sideOf(entry);
  if (side) return { entry, role: side };
  throw new EspalierError('block-low-rank/layer', {
    problem: FACTORISED.includes(entry.className)
      ? `layer '${name}' is in low rank already`
      : `layer '${name}' is neither an Embedding nor a Dense layer`,
    received: entry.className,
    fix: able.length > 0 ? `Layers that can be: ${able.join(', ')}.` : 'The model has none.',
  });
}

/**
 * A layer's matrix, one row per word or unit.
 *
 * @throws EspalierError `block-low-rank/not-finite`.
 */
export async function readMatrix(graph: ModelGraph, place: LayerTarget): Promise<Matrix> {
  const [{ layer, matrix }] = listMatrices(graph, place.entry) as [StorableMatrix];
  const weight = graph.weights[`${layer}/${matrix}`] as Tensor2D;
  const byRow = place.role === 'embedding' ? tf.clone(weight) : tf.transpose(weight);
  const [rows, columns] = byRow.shape;
  const data = (await byRow.data()) as Float32Array;
  byRow.dispose();
  const bad = data.findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return { data, rows, columns };
  throw new EspalierError('block-low-rank/not-finite', {
    problem: `the matrix of layer '${place.entry.name}' is not finite at row ${Math.floor(bad / columns)}, column ${bad % columns}`,
    received: data[bad],
    fix: 'Train again with a lower learning rate, or repair the weights.',
  });
}

/** Sides whose eigenpairs take hours to find, and gigabytes, are longer. */
const LONGEST_SIDE = 8192;

/**
 * Refuses what takes hours: both sides are long, or the columns are and there is a metric of them.
 *
 * @throws EspalierError `block-low-rank/wide`.
 */
export function checkSides(
  { entry }: LayerTarget,
  { rows, columns }: Pick<Matrix, 'columns' | 'rows'>,
  { metric }: ImportanceWeights,
): void {
  if ((metric ? columns : Math.min(rows, columns)) <= LONGEST_SIDE) return;
  throw new EspalierError('block-low-rank/wide', {
    problem: metric
      ? `a metric of the ${columns} columns of layer '${entry.name}' has too many; it may have ${LONGEST_SIDE}`
      : `both sides of the matrix of layer '${entry.name}' are longer than ${LONGEST_SIDE}`,
    received: [rows, columns],
    fix: metric
      ? "Measure errors by wordImportance({ metric: 'euclidean' }), or leave the layer out: blockLowRank({ layers: [ … ] })."
      : 'Leave the layer out: blockLowRank({ layers: [ … ] }).',
  });
}
