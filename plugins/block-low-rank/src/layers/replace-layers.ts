import type { WrittenRule, WrittenRules } from '@espalier/compression';
import { replaceLayer } from '@espalier/core';
import type { LayerEntry, ModelGraph, NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { layers } from '@tensorflow/tfjs-layers';
import type { LayerTarget } from '../layer-targets.js';
import type { LowRankMatrix } from '../maths/approximate.js';
import type { BlockMatrixConfig } from './block-matrix.js';
import { BlockLowRankDense, BlockLowRankEmbedding } from './layers.js';
import { shareFactors } from './tied.js';

/** What comes into one layer's place. */
export interface Approximation {
  readonly place: LayerTarget;
  readonly lowRank: LowRankMatrix;
}

/** The graph with factorised layers in the place of those that they approximate. */
export function replaceLayers(
  graph: ModelGraph,
  approximations: readonly Approximation[],
  /** By the embedding's name: the dense layer that shares its matrix. */
  pairs: ReadonlyMap<string, string>,
): ModelGraph {
  const replaced = approximations.reduce((edited, each) => replace(edited, each), graph);
  return [...pairs].reduce(
    (edited, [embedding, dense]) => shareFactors(edited, embedding, dense),
    replaced,
  );
}

function replace(graph: ModelGraph, { place, lowRank }: Approximation): ModelGraph {
  const { blocks, index } = lowRank;
  const { entry, role: side } = place;
  const config = { blocks, permuted: index !== undefined };
  const layer = side === 'embedding' ? embedding(entry, config) : dense(entry, config);
  const weights: Record<string, tf.Tensor> = Object.fromEntries(
    Object.entries(lowRank.weights).map(([name, { data, rows, columns }]) => [
      name,
      tf.tensor2d(data, [rows, columns]),
    ]),
  );
  if (index) weights['index'] = tf.tensor1d(index, 'int32');
  const bias = graph.weights[`${entry.name}/bias`];
  return replaceLayer(graph, entry.name, layer, {
    ...weights,
    ...(bias && { bias }),
  } as NamedTensors);
}

function embedding({ config }: LayerEntry, blocks: BlockMatrixConfig): layers.Layer {
  const { outputDim, maskZero, trainable, embeddingsRegularizer } = config as {
    outputDim: number;
    maskZero?: boolean;
    trainable?: boolean;
    embeddingsRegularizer?: WrittenRule;
  };
  return new BlockLowRankEmbedding({
    ...blocks,
    outputDim,
    maskZero: maskZero ?? false,
    trainable: trainable ?? true,
    embeddingsRegularizer: embeddingsRegularizer ?? null,
  });
}

function dense({ config }: LayerEntry, blocks: BlockMatrixConfig): layers.Layer {
  const { useBias, activation, trainable, ...rest } = config as WrittenRules & {
    useBias?: boolean;
    activation?: string;
    trainable?: boolean;
  };
  const { kernelRegularizer = null, biasRegularizer = null, biasConstraint = null } = rest;
  return new BlockLowRankDense({
    ...blocks,
    useBias: useBias ?? true,
    activation: activation ?? null,
    trainable: trainable ?? true,
    ...{ kernelRegularizer, biasRegularizer, biasConstraint },
  });
}
