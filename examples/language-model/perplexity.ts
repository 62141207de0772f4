import { Network } from '@espalier/core';
import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { cutIntoStreams } from './cut-into-streams.js';
import { CARRIED } from './lstm-model.js';
import { negativeLogLikelihood } from './sequence-cross-entropy.js';
import { zeroStates } from './streams.js';

/** Options of {@link lossByWord}. */
export interface PerplexityOptions {
  /** How many equal streams the text is cut into; default 20. The remainder is dropped. */
  readonly streams?: number;
  /** Words of each stream in one pass, which decides memory and not the result; default 35. */
  readonly steps?: number;
  /** Called behind each pass with the share of the text that is read. */
  readonly progress?: (share: number) => void;
}

/** What a text's words cost a model, by word id. */
export interface LossByWord {
  /** Summed −log probability of the word wherever it stands, `[vocabulary]`. */
  readonly nats: Float64Array;
  /** How often it was predicted, `[vocabulary]`. */
  readonly counts: Float64Array;
}

/** Perplexity of a language model: the exponential of the mean loss of {@link lossByWord}. */
export async function perplexity(
  model: LayersModel,
  ids: Int32Array,
  options: PerplexityOptions = {},
): Promise<number> {
  return Math.exp(meanLoss(await lossByWord(model, ids, options)));
}

/** Mean loss of a text in nats, or of the words `of` it. */
export function meanLoss({ nats, counts }: LossByWord, of?: Int32Array): number {
  const sum = (values: Float64Array) =>
    of ? of.reduce((total, id) => total + values[id]!, 0) : values.reduce((a, b) => a + b, 0);
  return sum(nats) / sum(counts);
}

/**
 * −log probability of every word of every stream but the first, by a language model with inputs and
 * outputs as in `lstmModel`, the state carried from the stream's start to its end. It leaves no
 * tensor behind.
 */
export async function lossByWord(
  model: LayersModel,
  ids: Int32Array,
  { streams = 20, steps = 35, progress }: PerplexityOptions = {},
): Promise<LossByWord> {
  const network = new Network(model);
  const vocabulary = network.outputShapes['logits']!.at(-1)!;
  const [nats, counts] = [new Float64Array(vocabulary), new Float64Array(vocabulary)];
  const text = cutIntoStreams(ids, streams);
  const predicted = text.length - 1;
  let states = zeroStates(widthsOf(network), streams);
  try {
    for (let from = 0; from < predicted; from += steps) {
      const count = Math.min(steps, predicted - from);
      const words = (at: number) => tf.tensor2d(text.window(at, count), [streams, count], 'int32');
      const { losses, next } = tf.tidy(() => pass(network, words(from), words(from + 1), states));
      tf.dispose(states);
      states = next;
      const targets = text.window(from + 1, count);
      (await losses.data<'float32'>()).forEach((loss, i) => {
        nats[targets[i]!]! += loss;
        counts[targets[i]!]! += 1;
      });
      losses.dispose();
      progress?.((from + count) / predicted);
    }
  } finally {
    tf.dispose(states);
  }
  return { nats, counts };
}

function widthsOf({ outputShapes }: Network): Record<string, number> {
  const widths = Object.entries(CARRIED).map(([input, output]) => [
    input,
    outputShapes[output]!.at(-1)!,
  ]);
  return Object.fromEntries(widths) as Record<string, number>;
}

/** −log probability of each of a window's words, `[streams · count]`, and the states behind it. */
function pass(network: Network, tokens: Tensor2D, targets: Tensor2D, states: NamedTensors) {
  const { outputs } = network.execute({ tokens, ...states }, { training: false });
  const logits = outputs['logits']!;
  const rows: Tensor2D = tf.reshape(logits, [-1, logits.shape.at(-1)!]);
  const ids: Tensor1D = tf.reshape(targets, [-1]);
  const next: NamedTensors = Object.fromEntries(
    Object.entries(CARRIED).map(([input, output]) => [input, outputs[output]!]),
  );
  return { losses: negativeLogLikelihood(rows, ids), next };
}
