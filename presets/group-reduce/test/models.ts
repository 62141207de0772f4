import { arraySource, keyedRng } from '@espalier/core';
import type { Source } from '@espalier/core';
import * as tfl from '@tensorflow/tfjs-layers';

const WORDS = 60;
const COLUMNS = 8;

/** Counts of the words, and the layers that hold a matrix of them. */
export const counts = Array.from({ length: WORDS }, (_, i) => Math.floor(180 / (i + 1)));
export const LAYERS = ['words', 'softmax'];

/** Word ids → embedding → pooled → one logit for each word. */
export function languageModel(): tfl.LayersModel {
  const { embedding, globalAveragePooling1d, dense } = tfl.layers;
  return tfl.sequential({
    layers: [
      embedding({ name: 'words', inputDim: WORDS, outputDim: COLUMNS, inputLength: 4 }),
      globalAveragePooling1d({}),
      dense({ name: 'softmax', units: WORDS }),
    ],
  });
}

/** Four words, and the first of them as what is to be predicted. */
export function text(): Source {
  const draw = keyedRng(1, 'text');
  const x = Int32Array.from({ length: 24 * 4 }, () => Math.floor(draw() ** 2 * WORDS));
  const y = Int32Array.from({ length: 24 }, (_, i) => x[4 * i]!);
  return arraySource({
    x: { data: x, shape: [24, 4] },
    y: { data: y, shape: [24] },
    batchSize: 8,
  });
}
