import { IMPORTANCE } from '@espalier/compression';
import type { ImportanceWeights } from '@espalier/compression';
import {
  arraySource,
  createSession,
  crossEntropy,
  definePlugin,
  keyedRng,
  sgd,
} from '@espalier/core';
import type { Plugin, Session, Source } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { z } from 'zod';

export const WORDS = 60;
export const COLUMNS = 8;

/** Word ids → embedding → pooled → hidden → one logit for each word. */
export function tinyLanguageModel({ words = WORDS, columns = COLUMNS } = {}): LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.embedding({
        name: 'embedding',
        inputDim: words,
        outputDim: columns,
        inputLength: 4,
        embeddingsInitializer: 'randomUniform',
      }),
      tfl.layers.globalAveragePooling1d({ name: 'pool' }),
      tfl.layers.dense({ name: 'hidden', units: columns, activation: 'tanh' }),
      tfl.layers.dense({ name: 'softmax', units: words }),
    ],
  });
}

/** Ten units, the layer `head`, on 9216 inputs. */
export function wideHead(): LayersModel {
  return tfl.sequential({
    layers: [tfl.layers.dense({ name: 'head', units: 10, inputShape: [9216] })],
  });
}

/** Provides these weights for every matrix. */
export function weighing(weights: ImportanceWeights): Plugin {
  const make = definePlugin({
    id: 'weights-of-the-test',
    version: '1.0.0',
    options: z.strictObject({}),
    stateless: true,
    apply: (ctx) => ctx.provide(IMPORTANCE, () => ({ name: 'given', weights: () => weights })),
  });
  return make();
}

/** Counts that fall like 1/rank. */
export function zipf(words = WORDS): Float64Array {
  return Float64Array.from({ length: words }, (_, i) => Math.floor((3 * words) / (i + 1)));
}

/** Windows of four words, and a next word that depends on the first. */
export function tinyText({ examples = 24, words = WORDS, batchSize = 8 } = {}): Source {
  const draw = keyedRng(3, 'tiny-text');
  const x = Int32Array.from({ length: examples * 4 }, () => Math.floor(draw() ** 2 * words));
  const y = Int32Array.from({ length: examples }, (_, i) => x[4 * i]!);
  return arraySource({
    x: { data: x, shape: [examples, 4] },
    y: { data: y, shape: [examples] },
    batchSize,
  });
}

/** A session on the tiny language model. */
export async function openTiny(
  plugins: readonly Plugin[],
  model: () => LayersModel = () => tinyLanguageModel(),
): Promise<Session> {
  return createSession({
    model,
    plugins,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.5 }),
    train: tinyText(),
    validation: tinyText(),
    backend: { prefer: [tf.getBackend() === 'wasm' ? 'wasm' : 'cpu'] },
  });
}

/** A random matrix, row by row. */
export function randomMatrix(rows: number, columns: number, seed = 1): Float32Array {
  const draw = keyedRng(seed, 'matrix', rows, columns);
  return Float32Array.from({ length: rows * columns }, () => 2 * draw() - 1);
}

/** A permutation of `0 … size − 1`. */
export function permutation(size: number, seed = 1): Int32Array {
  return keyedRng(seed, 'permutation').permutation(size);
}
