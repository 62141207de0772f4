import { Network } from '@espalier/core';
import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { cutIntoStreams } from './cut-into-streams.js';
import { CARRIED } from './lstm-model.js';
import { negativeLogLikelihood } from './sequence-cross-entropy.js';
import { zeroStates } from './streams.js';

/** Options of {@link perplexity}. */
export interface PerplexityOptions {
  /** How many equal streams the text is cut into; default 20. The remainder is dropped. */
  readonly streams?: number;
  /** Words of each stream in one pass, which decides memory and not the result; default 35. */
  readonly steps?: number;
  /** Called behind each pass with the share of the text that is read. */
  readonly progress?: (share: number) => void;
}

/**
 * Perplexity of a language model (inputs and outputs as in `lstmModel`): the exponential of the mean
 * −log probability of every word of every stream but the first, the state carried from the stream's
 * start to its end. It leaves no tensor behind.
 */
export async function perplexity(
  model: LayersModel,
  ids: Int32Array,
  { streams = 20, steps = 35, progress }: PerplexityOptions = {},
): Promise<number> {
  const network = new Network(model);
  const text = cutIntoStreams(ids, streams);
  const predicted = text.length - 1;
  let states = zeroStates(widthsOf(network), streams);
  let total = 0;
  try {
    for (let from = 0; from < predicted; from += steps) {
      const count = Math.min(steps, predicted - from);
      const words = (at: number) => tf.tensor2d(text.window(at, count), [streams, count], 'int32');
      const { sum, next } = tf.tidy(() => pass(network, words(from), words(from + 1), states));
      tf.dispose(states);
      states = next;
      total += (await sum.data())[0]!;
      sum.dispose();
      progress?.((from + count) / predicted);
    }
  } finally {
    tf.dispose(states);
  }
  return Math.exp(total / (streams * predicted));
}

function widthsOf({ outputShapes }: Network): Record<string, number> {
  const widths = Object.entries(CARRIED).map(([input, output]) => [
    input,
    outputShapes[output]!.at(-1)!,
  ]);
  return Object.fromEntries(widths) as Record<string, number>;
}

/** The summed −log probability of a window's words, and the states behind it. */
function pass(network: Network, tokens: Tensor2D, targets: Tensor2D, states: NamedTensors) {
  const { outputs } = network.execute({ tokens, ...states }, { training: false });
  const logits = outputs['logits']!;
  const rows: Tensor2D = tf.reshape(logits, [-1, logits.shape.at(-1)!]);
  const ids: Tensor1D = tf.reshape(targets, [-1]);
  const next: NamedTensors = Object.fromEntries(
    Object.entries(CARRIED).map(([input, output]) => [input, outputs[output]!]),
  );
  return { sum: tf.sum<Scalar>(negativeLogLikelihood(rows, ids)), next };
}
