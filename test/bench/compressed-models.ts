import type { BlockSpectrum } from '@espalier/compression';
import { createSession, crossEntropy, keyedRng, sgd } from '@espalier/core';
import type { Plugin } from '@espalier/core';
import {
  blockLowRank,
  BlockLowRankDense,
  proportionalRanks,
  rankRule,
  wordImportance,
} from '@espalier/plugin-block-low-rank';
import type { Block } from '@espalier/plugin-block-low-rank';
import { quantizer } from '@espalier/plugin-quantizer';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';

export const WORDS = 10_000;
export const COLUMNS = 200;

/** Zipf's counts; which word has which is drawn. */
const counts = new Float64Array(WORDS);
keyedRng('group-reduce', 'counts')
  .permutation(WORDS)
  .forEach((word, rank) => (counts[word] = 1e6 / (rank + 1)));

/** `embedding` and `softmax`, with matrices whose k-th singular value is about k^-½. */
export function denseModel(): LayersModel {
  const model = tfl.sequential({
    layers: [
      tfl.layers.embedding({
        name: 'embedding',
        inputDim: WORDS,
        outputDim: COLUMNS,
        inputLength: 1,
      }),
      tfl.layers.flatten(),
      tfl.layers.dense({ name: 'softmax', units: WORDS }),
    ],
  });
  tf.tidy(() => {
    const bias = uniform('bias', [WORDS]);
    model.setWeights([matrix('embedding'), tf.transpose(matrix('softmax')), bias]);
  });
  return model;
}

/** Rows of uniform noise, mixed by a rotation whose axes fall in length. */
function matrix(name: string): tf.Tensor {
  const [rotation] = tf.linalg.qr(uniform(`${name}/mix`, [COLUMNS, COLUMNS]));
  const lengths = Float32Array.from({ length: COLUMNS }, (_, k) => (k + 1) ** -0.5);
  const mix = tf.mul(rotation!, tf.tensor2d(lengths, [COLUMNS, 1]));
  return tf.matMul(uniform(name, [WORDS, COLUMNS]), mix);
}

/** Numbers from −½ to ½. */
export function uniform(name: string, shape: [number] | [number, number]): tf.Tensor {
  const draw = keyedRng('group-reduce', name);
  const size = tf.util.sizeFromShape(shape);
  return tf.tensor(
    Float32Array.from({ length: size }, () => draw() - 0.5),
    shape,
  );
}

/** The dense model in five blocks at proportional ranks, and then perhaps in codes. */
export async function compressedModel(ratio: number, bits?: 8 | 4): Promise<LayersModel> {
  const plugins: Plugin[] = [
    vocabPartition({ counts, blocks: 5, refine: false }),
    wordImportance({ rows: 'counts' }),
    rankRule({ rule: 'proportional' }),
    blockLowRank({ ratio }),
    ...(bits ? [quantizer({ bits })] : []),
  ];
  const optimizer = sgd({ learningRate: 1 });
  const session = await createSession({
    model: denseModel,
    loss: crossEntropy(),
    optimizer,
    plugins,
  });
  await session.transform();
  const model = session.export();
  await session.dispose();
  return model;
}

/** The softmax of the dense model as one dense block, for the same search as the compressed ones. */
export function asOneBlock(dense: LayersModel): BlockLowRankDense {
  const layer = blockLayer(COLUMNS, [{ rows: WORDS, rank: null }]);
  tf.tidy(() => {
    const [kernel, bias] = dense.getLayer('softmax').getWeights();
    layer.setWeights([tf.transpose(kernel!), bias!]);
  });
  return layer;
}

/** A softmax of random factors: five blocks at proportional ranks, or without a ratio one dense one. */
export function randomSoftmax(words: number, columns: number, ratio?: number): BlockLowRankDense {
  if (ratio === undefined) return blockLayer(columns, [{ rows: words, rank: null }]);
  const rows = Math.ceil(words / 5);
  const spectra = [0, 1, 2, 3, 4].map((p): BlockSpectrum => {
    const size = Math.min(rows, words - p * rows);
    // The sum of 1/n over the block's stretch of n.
    const meanCount = Math.log((p * rows + size + 0.5) / (p * rows + 0.5)) / size;
    const bytes = (rank: number | null) =>
      4 * (rank === null ? size * columns : rank * (size + columns));
    return { rows: size, columns, meanCount, energies: new Float64Array(columns), bytes };
  });
  const ranks = proportionalRanks.allocate(spectra, (4 * words * columns) / ratio);
  return blockLayer(
    columns,
    spectra.map(({ rows }, p) => ({ rows, rank: ranks[p]! })),
  );
}

function blockLayer(columns: number, blocks: readonly Block[]): BlockLowRankDense {
  const layer = new BlockLowRankDense({ blocks });
  layer.build([null, columns]);
  return layer;
}
