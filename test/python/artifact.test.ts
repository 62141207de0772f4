import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyedRng } from '@espalier/base';
import { saveArtifact } from '@espalier/formats/node';
import { disposeModel, extractGraph } from '@espalier/model';
import { onBackend, tinyCnn } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { python, runPython } from './python.js';

/** Where each word stands among the rows, as compressed matrices keep it; hands its input on. */
class WordIndex extends tfl.layers.Layer {
  static className = 'PythonTestWordIndex';
  constructor(private readonly given: { name?: string; tables: readonly (readonly number[])[] }) {
    super(given.name === undefined ? {} : { name: given.name });
  }
  override build(): void {
    const adds = this as unknown as {
      addWeight(...args: unknown[]): tfl.layers.Layer['weights'][0];
    };
    this.given.tables.forEach((values, i) => {
      const variable = adds.addWeight(`t${i}`, [values.length], 'int32', tfl.initializers.zeros());
      const table = tf.tensor1d([...values], 'int32');
      (variable.read() as tf.Variable).assign(table);
      table.dispose();
    });
    this.built = true;
  }
  override call(inputs: tf.Tensor[]): tf.Tensor {
    return tf.clone(inputs[0]!);
  }
  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      tables: this.given.tables,
    } as unknown as tf.serialization.ConfigDict;
  }
}
tf.serialization.registerClass(WordIndex);

function shuffled(size: number): number[] {
  const draw = keyedRng(0, 'word-index');
  const keys = Array.from({ length: size }, (_, word) => [draw(), word] as const);
  return keys.sort(([a], [b]) => a - b).map(([, word]) => word);
}

/** A recurrent model with integer weights of every width. */
function languageModel(): LayersModel {
  const tables = [
    [0, 255],
    [-128, 3],
    shuffled(3000),
    [-32768, 255],
    [-(2 ** 31), 2 ** 31 - 1],
    [],
  ];
  return tfl.sequential({
    layers: [
      tfl.layers.embedding({ inputDim: 30, outputDim: 7, inputLength: 4, name: 'embedding' }),
      new WordIndex({ name: 'index', tables }),
      tfl.layers.lstm({ units: 5, name: 'lstm' }),
      tfl.layers.dense({ units: 30, name: 'logits' }),
    ],
  });
}

/** Dtype, shape and SHA-256 of the bytes of each weight. */
function summaryOf(model: LayersModel): Record<string, unknown> {
  const entries = Object.entries(extractGraph(model).weights).map(([path, weight]) => {
    const values = weight.dataSync() as Float32Array | Int32Array;
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return [path, [weight.dtype, weight.shape, sha256]];
  });
  return Object.fromEntries(entries);
}

test('the reader has at most 75 lines', () => {
  const source = readFileSync(new URL('./read_artifact.py', import.meta.url), 'utf8');
  expect(source.trimEnd().split('\n').length).toBeLessThanOrEqual(75);
});

describe.skipIf(!python)('NumPy reads bit for bit', () => {
  beforeAll(() => onBackend('cpu'));

  test.each([
    ['a convolutional model', tinyCnn],
    ['a recurrent one with integer weights', languageModel],
  ])('%s', async (_name, make) => {
    const dir = mkdtempSync(join(tmpdir(), 'espalier-'));
    const model = make();
    try {
      await saveArtifact(dir, { model, notes: { words: ['naïve', '中'] } });
      expect(runPython('./read_artifact.py', dir)).toEqual(summaryOf(model));
    } finally {
      disposeModel(model);
      rmSync(dir, { recursive: true });
    }
  });
});
