import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createStorage, readStorages } from '@espalier/compression';
import type { MatrixShape, StorageConfig } from '@espalier/compression';
import { createSession, crossEntropy, keyedRng, sgd } from '@espalier/core';
import type { Plugin } from '@espalier/core';
import { saveArtifact } from '@espalier/formats/node';
import { disposeModel, extractGraph } from '@espalier/model';
import type { ModelGraph } from '@espalier/model';
import { blockLowRank } from '@espalier/plugin-block-low-rank';
import type { Block, BlockLowRankDense } from '@espalier/plugin-block-low-rank';
import { quantizer } from '@espalier/plugin-quantizer';
import type { QuantizerOptions } from '@espalier/plugin-quantizer';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { python, runPython } from './python.js';

const WORDS = 400;
const COLUMNS = 24;
/** Of the matrices of plain layers, by layer. */
const SHAPES: Readonly<Record<string, MatrixShape>> = {
  embedding: [WORDS, COLUMNS],
  softmax: [COLUMNS, WORDS],
};

/** Twelve ways: one for each of the six matrices of both layers. */
const WAYS: NonNullable<QuantizerOptions['matrices']> = {
  'embedding/w0': { bits: 8, granularity: 'row' },
  'embedding/u1': { bits: 4, granularity: { group: 5 } },
  'embedding/u2': { bits: 3, granularity: 'column' },
  'embedding/u3': { bits: 2, granularity: 'tensor' },
  'embedding/u4': { bits: 3, codebook: 'k-means' },
  'embedding/basis': { codebook: 'nf4', granularity: { group: 6 } },
  'softmax/w0': { bits: 4, codebook: { columns: 5 } },
  'softmax/u1': { bits: 8, scheme: 'asymmetric', granularity: 'column' },
  'softmax/u2': { bits: 4, scheme: 'asymmetric', granularity: 'tensor' },
  'softmax/u3': { bits: 3, scheme: 'asymmetric', granularity: { group: 7 } },
  'softmax/u4': { bits: 2, scheme: 'asymmetric', granularity: 'row' },
  'softmax/basis': false,
};

/** Codes of vectors, which pay for fewer rows only with few bits. */
const VECTORS: readonly [string, NonNullable<QuantizerOptions['matrices']>[string]][] = [
  ['parts of different widths', { bits: 4, codebook: { parts: 7 } }],
  ['stages', { bits: 3, codebook: { stages: 3 } }],
  ['rotated parts', { bits: 2, codebook: { parts: 6, rotate: true } }],
];

function languageModel(): LayersModel {
  const [inputDim, outputDim, inputLength] = [WORDS, COLUMNS, 1];
  const embeddingsInitializer = tfl.initializers.randomNormal({ seed: 1 });
  const kernelInitializer = tfl.initializers.randomNormal({ seed: 2 });
  return tfl.sequential({
    layers: [
      tfl.layers.embedding({
        name: 'embedding',
        inputDim,
        outputDim,
        inputLength,
        embeddingsInitializer,
      }),
      tfl.layers.flatten(),
      tfl.layers.dense({ name: 'softmax', units: WORDS, kernelInitializer }),
    ],
  });
}

/** The language model after these plugins. */
async function transformed(plugins: readonly Plugin[]): Promise<LayersModel> {
  const session = await createSession({
    model: languageModel,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 1 }),
    plugins,
    backend: { prefer: ['cpu'] },
  });
  await session.transform();
  const model = session.export();
  await session.dispose();
  return model;
}

interface Read {
  /** Dtype, shape and SHA-256 of the bytes of each stored matrix, decoded. */
  readonly found: Readonly<Record<string, readonly [string, readonly number[], string]>>;
  readonly matrix: number[][];
}

async function readByNumPy(
  model: LayersModel,
  layers: Readonly<Record<string, MatrixShape>>,
): Promise<Record<string, Read>> {
  const dir = mkdtempSync(join(tmpdir(), 'espalier-'));
  try {
    await saveArtifact(dir, { model });
    const read = Object.entries(layers).map(([layer, shape]) => [
      layer,
      runPython('./read_artifact.py', dir, layer, ...shape.map(String)),
    ]);
    return Object.fromEntries(read) as Record<string, Read>;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** A stored matrix as tfjs decodes it, in the words of {@link Read}. */
function decodedByTfjs(graph: ModelGraph, layer: string, matrix: string, shape: MatrixShape) {
  const entry = graph.topology.config.layers.find(({ name }) => name === layer)!;
  const config: StorageConfig | undefined = readStorages(entry)![matrix];
  const read = (weight: string) => graph.weights[`${layer}/${weight}`]!;
  const decoded = tf.tidy(() =>
    createStorage(matrix, shape, config).slice(read, 0, shape[0]).clone(),
  );
  const values = decoded.dataSync<'float32'>();
  decoded.dispose();
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return ['float32', shape, createHash('sha256').update(bytes).digest('hex')];
}

/** ‖a − b‖ / ‖b‖. */
function relativeError(a: number[][], b: number[][]): number {
  const difference = a.map((row, i) => row.map((value, j) => value - b[i]![j]!));
  const norm = (rows: number[][]) => Math.hypot(...rows.map((row) => Math.hypot(...row)));
  return norm(difference) / norm(b);
}

describe.skipIf(!python)('NumPy decodes', () => {
  beforeAll(() => onBackend('cpu'));

  test('every storage bit for bit, and puts low-rank blocks together', async () => {
    const counts = Float64Array.from(
      keyedRng('matrices', 'counts').permutation(WORDS),
      (rank) => 1000 / (rank + 1),
    );
    const model = await transformed([
      vocabPartition({ counts, blocks: 5, refine: false }),
      blockLowRank({ rank: [COLUMNS, 9, 8, 7, 6], minSize: 1 }),
      quantizer({ matrices: WAYS }),
    ]);
    const graph = extractGraph(model);
    const shape: MatrixShape = [WORDS, COLUMNS];
    const read = await readByNumPy(model, { embedding: shape, softmax: shape });
    for (const [layer, { found, matrix }] of Object.entries(read)) {
      const entry = graph.topology.config.layers.find(({ name }) => name === layer)!;
      const shapes = shapesIn(entry.config['blocks'] as readonly Block[]);
      const coded = Object.keys(shapes).filter((name) => WAYS[`${layer}/${name}`]);
      expect(Object.keys(readStorages(entry)!).sort()).toEqual(coded.sort());
      expect(found).toEqual(
        Object.fromEntries(
          Object.entries(shapes).map(([name, of]) => [name, decodedByTfjs(graph, layer, name, of)]),
        ),
      );
      const ids = tf.range(0, WORDS, 1, 'int32') as tf.Tensor1D;
      const { matrix: blocks } = model.getLayer(layer) as BlockLowRankDense;
      const whole = tf.tidy(() => blocks.lookup(ids).arraySync());
      expect(relativeError(matrix, whole)).toBeLessThan(1e-6);
      ids.dispose();
    }
    disposeModel(model);
  });

  test('matrices of plain layers', async () => {
    const model = await transformed([quantizer({ bits: 4 })]);
    const graph = extractGraph(model);
    const read = await readByNumPy(model, SHAPES);
    for (const [layer, { found, matrix }] of Object.entries(read)) {
      const [name] = Object.keys(found) as [string];
      expect(found[name]).toEqual(decodedByTfjs(graph, layer, name, SHAPES[layer]!));
      expect([matrix.length, matrix[0]!.length]).toEqual(SHAPES[layer]);
    }
    disposeModel(model);
  });
});

describe.skipIf(!python)('NumPy decodes codes of vectors', () => {
  beforeAll(() => onBackend('cpu'));

  test.each(VECTORS)('%s', async (name, options) => {
    const model = await transformed([quantizer({ matrices: { '*': options } })]);
    const graph = extractGraph(model);
    const read = await readByNumPy(model, SHAPES);
    for (const [layer, { found, matrix }] of Object.entries(read)) {
      const [weight] = Object.keys(found) as [string];
      const shape = SHAPES[layer]!;
      const rotated = name === 'rotated parts';
      if (!rotated) expect(found[weight]).toEqual(decodedByTfjs(graph, layer, weight, shape));
      const storage = readStorages(
        graph.topology.config.layers.find((entry) => entry.name === layer)!,
      )![weight]!;
      const whole = tf.tidy(() =>
        createStorage(weight, shape, storage)
          .slice((part) => graph.weights[`${layer}/${part}`]!, 0, shape[0])
          .arraySync(),
      );
      expect(relativeError(matrix, whole)).toBeLessThan(1e-6);
    }
    disposeModel(model);
  });
});

/** The matrices of a layer by the README of block-low-rank: blocks, and the basis. */
function shapesIn(blocks: readonly Block[]): Record<string, MatrixShape> {
  const rows = blocks.map(({ rows, rank }, p): [string, MatrixShape] =>
    rank === null ? [`w${p}`, [rows, COLUMNS]] : [`u${p}`, [rows, rank]],
  );
  const ranks = blocks.reduce((sum, { rank }) => sum + (rank ?? 0), 0);
  return { ...Object.fromEntries(rows), basis: [ranks, COLUMNS] };
}
