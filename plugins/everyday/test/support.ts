import { arraySource, createSession, crossEntropy, sgd } from '@espalier/core';
import type { Session, SessionConfig, Source } from '@espalier/core';
import { tinyData, tinyMlp, tinySource } from '@espalier/testkit';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';

/** One unit that says yes or no. */
export function oneUnit(): LayersModel {
  return tfl.sequential({
    layers: [tfl.layers.dense({ name: 'yes', units: 1, inputShape: [6] })],
  });
}

/** Targets 0 and 1 of one unit, `[batch, 1]`. */
export function binarySource(seed: number): Source {
  const { x, y } = tinyData({ classes: 2, seed });
  const targets = { data: Float32Array.from(y.data), shape: [y.data.length, 1] };
  return arraySource({ x, y: targets, batchSize: 4 });
}

/** A small session with a validation source; `more` changes its configuration. */
export function open(more: Partial<SessionConfig> = {}): Promise<Session> {
  return createSession({
    model: tinyMlp,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1 }),
    train: tinySource({ examples: 12 }),
    validation: tinySource({ examples: 6, seed: 1 }),
    ...more,
  });
}
