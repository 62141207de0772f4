import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { LstmLayer, LstmPart } from './lstm-layer.js';
import type { LstmPartName } from './lstm-layer.js';

/** Options of {@link lstmModel}. */
export interface LstmModelOptions {
  /** Number of words. */
  readonly vocabulary: number;
  /** Width of the embedding and of both LSTMs. */
  readonly units: number;
  /** Weights start uniform in ± this; default 0.1, as in the paper. */
  readonly scale?: number;
  /** The embedding starts uniform in ± this; default `scale`. Larger: a short training learns more. */
  readonly embeddingScale?: number;
}

/** Which output of {@link lstmModel} each of its state inputs goes on from. */
export const CARRIED: Readonly<Record<string, string>> = {
  h_1: 'next_h_1',
  c_1: 'next_c_1',
  h_2: 'next_h_2',
  c_2: 'next_c_2',
};

/**
 * The word-level language model of Zaremba, Sutskever & Vinyals (2014), without dropout: embedding,
 * two LSTMs, logits. Inputs: `tokens` `[batch, time]`, and the states `h_1`, `c_1`, `h_2`, `c_2`
 * `[batch, units]` before the first word; outputs: `logits` `[batch, time, vocabulary]`, and the
 * states behind the last word, see {@link CARRIED}.
 */
export function lstmModel(options: LstmModelOptions): LayersModel {
  const { vocabulary, units, scale = 0.1, embeddingScale = scale } = options;
  const initializer = (maxval = scale) =>
    tfl.initializers.randomUniform({ minval: -maxval, maxval });
  const tokens = tfl.input({ shape: [null], name: 'tokens', dtype: 'int32' });
  const [h1, c1, h2, c2] = Object.keys(CARRIED).map((name) => tfl.input({ shape: [units], name }));
  const embedding = tfl.layers.embedding({
    inputDim: vocabulary,
    outputDim: units,
    embeddingsInitializer: initializer(embeddingScale),
    name: 'embedding',
  });
  const embedded = embedding.apply(tokens) as SymbolicTensor;
  const first = lstm(1, [embedded, h1!, c1!], { units, scale });
  const second = lstm(2, [first.sequence, h2!, c2!], { units, scale });
  const softmax = tfl.layers.dense({
    units: vocabulary,
    kernelInitializer: initializer(),
    biasInitializer: initializer(),
    name: 'softmax',
  });
  // Passes the logits on: outputs are called after their layers.
  const named = tfl.layers.activation({ activation: 'linear', name: 'logits' });
  const logits = named.apply(softmax.apply(second.sequence)) as SymbolicTensor;
  return tfl.model({
    inputs: [tokens, h1!, c1!, h2!, c2!],
    outputs: [logits, ...first.states, ...second.states],
  });
}

function lstm(k: 1 | 2, inputs: SymbolicTensor[], options: { units: number; scale: number }) {
  const all = new LstmLayer({ name: `lstm_${k}`, ...options }).apply(inputs) as SymbolicTensor;
  const part = (name: string, of: LstmPartName) =>
    new LstmPart({ name, part: of }).apply(all) as SymbolicTensor;
  return {
    sequence: part(`sequence_${k}`, 'sequence'),
    states: [part(`next_h_${k}`, 'hidden'), part(`next_c_${k}`, 'cell')],
  };
}
