import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { relativeError, StoredDense, StoredEmbedding } from '@espalier/compression';
import { keyedRng } from '@espalier/core';
import { saveArtifact } from '@espalier/formats/node';
import { disposeModel } from '@espalier/model';
import { codeMatrix, expandCodes } from '@espalier/plugin-block-low-rank';
import type { BlockCodedMatrix } from '@espalier/plugin-block-low-rank';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { python, runPython } from './python.js';

const [WORDS, COLUMNS] = [400, 12];

/** Rows that lie near to few directions. */
const matrix = (() => {
  const draw = keyedRng(3, 'block-codes');
  const data = Float32Array.from(
    { length: WORDS * COLUMNS },
    (_, i) => (draw() - 0.5) / (1 + (i % COLUMNS)),
  );
  return { data, rows: WORDS, columns: COLUMNS };
})();

/** A model whose embedding and softmax are in these codes. */
function modelOf(codes: BlockCodedMatrix): tfl.LayersModel {
  const { config } = codes;
  const embedding = new StoredEmbedding({
    ...{ name: 'embedding', inputDim: WORDS, outputDim: COLUMNS, inputShape: [1] },
    storage: { embeddings: config },
  });
  const softmax = new StoredDense({
    ...{ name: 'softmax', units: WORDS, useBias: false },
    storage: { kernel: { ...config, transposed: true } },
  });
  const model = tfl.sequential({ layers: [embedding, tfl.layers.flatten(), softmax] });
  tf.tidy(() => {
    for (const layer of [embedding, softmax]) {
      const parts = layer.weights.map(({ name }) => /_([a-z]+)(_\d+)?$/.exec(name)![1]! as 'codes');
      layer.setWeights(parts.map((part) => tf.tensor1d(codes.weights[part]!)));
    }
  });
  return model;
}

describe.skipIf(!python)('NumPy decodes codes of blocks', () => {
  beforeAll(() => onBackend('cpu'));

  test.each([
    ['in the order of rows', { ratio: 4 }],
    [
      'by counts, with a map',
      {
        ratio: 8,
        objective: 'counts',
        counts: Array.from({ length: WORDS }, (_, i) => (i % 3 ? 1 : 1000)),
      },
    ],
    ['with lengths, for neighbours', { ratio: 12, objective: 'neighbours' }],
  ] as const)('%s', async (_, options) => {
    const codes = await codeMatrix(matrix, options);
    const model = modelOf(codes);
    const dir = mkdtempSync(join(tmpdir(), 'espalier-'));
    try {
      await saveArtifact(dir, { model });
      const read = (layer: string, ...shape: number[]) =>
        runPython('./read_artifact.py', dir, layer, ...shape.map(String)) as { matrix: number[][] };
      const rows = read('embedding', WORDS, COLUMNS).matrix;
      const kernel = read('softmax', COLUMNS, WORDS).matrix;
      expect(kernel[0]!.map((__, j) => kernel.map((row) => row[j]))).toEqual(rows);
      const data = Float32Array.from(rows.flat());
      expect(relativeError(expandCodes(codes), { ...matrix, data })).toBeLessThan(1e-6);
    } finally {
      rmSync(dir, { recursive: true });
      disposeModel(model);
    }
  });
});
