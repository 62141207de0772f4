import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pytorchLayers, pytorchModules } from '@espalier/formats';
import { readMatrices } from '@espalier/formats/node';
import { disposeModel } from '@espalier/model';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { expect, test } from 'vitest';

const at = (name: string) =>
  fileURLToPath(new URL(`../../../../shared/data/${name}`, import.meta.url));
const FILE = at('ptb-lstm/model.safetensors');
const absent = !existsSync(FILE);
const [BATCH, TIME] = [10, 60];

/** The first words of the test text, as rows of ids. */
function testIds(): number[] {
  const { vocab } = JSON.parse(readFileSync(at('ptb-lstm/vocab.json'), 'utf8')) as {
    readonly vocab: readonly string[];
  };
  const ids = new Map(vocab.map((word, id) => [word, id]));
  const words = readFileSync(at('ptb/ptb.test.txt'), 'utf8').replaceAll('\n', ' <eos> ');
  return words
    .trim()
    .split(/\s+/)
    .slice(0, BATCH * (TIME + 1))
    .map((word) => ids.get(word)!);
}

test.skipIf(absent)(
  `a language model trained with PyTorch predicts real text${absent ? ' (skipped: no data)' : ''}`,
  async () => {
    await onBackend('wasm');
    const state = await readMatrices(FILE);
    expect(pytorchModules(state)).toMatchObject({
      modules: expect.arrayContaining([
        { kind: 'embedding', name: 'embedding', rows: 10_000, columns: 200 },
        { kind: 'lstm', name: 'lstm', layers: 2, inputSize: 200, hiddenSize: 200, bias: true },
        { kind: 'linear', name: 'softmax', inputs: 200, outputs: 10_000, bias: true },
      ]),
      rest: [],
    });
    const model = tfl.sequential({
      layers: pytorchLayers(state, ['embedding', 'lstm', 'softmax']),
    });
    const perplexity = tf.tidy(() => {
      const ids = tf.tensor2d(testIds(), [BATCH, TIME + 1], 'int32');
      const logits = model.predict(tf.slice(ids, [0, 0], [BATCH, TIME])) as Tensor;
      const next = tf.oneHot(tf.cast(tf.slice(ids, [0, 1], [BATCH, TIME]), 'int32'), 10_000);
      const chosen = tf.sum(tf.mul(tf.logSoftmax(logits), next), -1);
      return Math.exp(-tf.mean(chosen).dataSync()[0]!);
    });
    disposeModel(model);
    // What PyTorch 2.13 gives for these rows, with the same weights widened to float32.
    expect(perplexity).toBeCloseTo(113.0973, 2);
  },
);
