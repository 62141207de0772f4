import { adam, arraySource, createSession, crossEntropy, keyedRng } from '@espalier/core';
import type { Session, SessionConfig, Source } from '@espalier/core';
import { quantizer } from '@espalier/plugin-quantizer';
import type { QuantizerOptions } from '@espalier/plugin-quantizer';
import { tinySource } from '@espalier/testkit';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { wordModel } from './models.js';

/** 24 sequences of 6 word ids and their classes. */
export const WORDS = (() => {
  const draw = keyedRng(1, 'words');
  const ids = Float32Array.from({ length: 24 * 6 }, () => Math.floor(draw() * 40));
  const y = Int32Array.from({ length: 24 }, (_, i) => i % 5);
  return { x: { data: ids, shape: [24, 6] }, y: { data: y, shape: [24] }, batchSize: 4 };
})();

/** What a model of this folder trains on. */
export function dataOf(model: () => LayersModel): Source {
  return model === wordModel ? arraySource(WORDS) : tinySource({ shape: [8, 8, 3], classes: 3 });
}

/** A run of a tiny model with the plugin, which takes every layer that it can. */
export function open(
  model: () => LayersModel,
  options: QuantizerOptions,
  more: Partial<SessionConfig> = {},
): Promise<Session> {
  return createSession({
    model,
    loss: crossEntropy(),
    optimizer: adam({ learningRate: 0.01 }),
    train: dataOf(model),
    seed: 5,
    plugins: [quantizer({ minSize: 1, ...options })],
    ...more,
  });
}
