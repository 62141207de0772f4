import { arraySource, keyedRng } from '@espalier/core';
import { layers, sequential } from '@tensorflow/tfjs-layers';

const [EXAMPLES, FEATURES, CLASSES] = [320, 20, 4];

/** What a trial of the bench trains: so little that its process is all that counts. */
export function model({ units = 16 } = {}) {
  const hidden = layers.dense({ units, activation: 'relu', inputShape: [FEATURES] });
  return sequential({ layers: [hidden, layers.dense({ units: CLASSES })] });
}

export function data({ batchSize = 32 }) {
  const stream = keyedRng(0, 'bench');
  const x = Float32Array.from({ length: EXAMPLES * FEATURES }, () => stream());
  const y = Int32Array.from({ length: EXAMPLES }, (_, i) => i % CLASSES);
  return arraySource({
    x: { data: x, shape: [EXAMPLES, FEATURES] },
    y: { data: y, shape: [EXAMPLES] },
    batchSize,
  });
}
