import type { Matrix } from '@espalier/compression';
import { adam, arraySource, createSession, crossEntropy, keyedRng } from '@espalier/core';
import type { Session, SessionConfig, Source } from '@espalier/core';
import { prune } from '@espalier/plugin-prune';
import type { PruneOptions } from '@espalier/plugin-prune';
import { tinySource } from '@espalier/testkit';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { wordModel } from '../../quantizer/test/models.js';

/** A matrix of uniform numbers, of which a share is zero and many are equal. */
export function mixedMatrix(rows: number, columns: number, seed = 0): Matrix {
  const draw = keyedRng(seed, 'mixed');
  const data = Float32Array.from({ length: rows * columns }, () => {
    const value = 2 * draw() - 1;
    return draw() < 0.3 ? Math.round(value * 2) / 2 : value;
  });
  return { data, rows, columns };
}

/** 24 sequences of 6 word ids and their classes. */
export function words(): Source {
  const draw = keyedRng(1, 'words');
  const ids = Float32Array.from({ length: 24 * 6 }, () => Math.floor(draw() * 40));
  const y = Int32Array.from({ length: 24 }, (_, i) => i % 5);
  return arraySource({
    x: { data: ids, shape: [24, 6] },
    y: { data: y, shape: [24] },
    batchSize: 4,
  });
}

/** A run of a tiny model with the plugin. */
export function open(
  model: () => LayersModel,
  options: PruneOptions,
  more: Partial<SessionConfig> = {},
): Promise<Session> {
  return createSession({
    model,
    loss: crossEntropy(),
    optimizer: adam({ learningRate: 0.01 }),
    train: model === wordModel ? words() : tinySource({ shape: [8, 8, 3], classes: 3 }),
    seed: 5,
    plugins: [prune(options)],
    ...more,
  });
}
