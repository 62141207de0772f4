import type { BackendInfo } from '@espalier/backend';
import { adam, chain, clipByGlobalNorm, cosineSchedule, createSession } from '@espalier/core';
import type { Session } from '@espalier/core';
import { carriedState } from './carried-state.js';
import type { Corpus } from './corpus.js';
import { CARRIED, lstmModel } from './lstm-model.js';
import { perplexity } from './perplexity.js';
import { sequenceCrossEntropy } from './sequence-cross-entropy.js';
import { streamSource } from './streams.js';

/** How to train; the defaults are for a demonstration on one thread. */
export interface TrainOptions {
  /** Width of embedding and LSTMs; default 64. */
  readonly units?: number;
  /** Words of the training text that are read, from its start; default 240 000. */
  readonly words?: number;
  /** Default 1. */
  readonly epochs?: number;
  /** Default 32. */
  readonly streams?: number;
  /** Words of each stream in a step; default 20. */
  readonly steps?: number;
  /** Of Adam, falling by half a cosine; default 0.005. */
  readonly learningRate?: number;
  readonly seed?: number;
  readonly backend: BackendInfo;
  readonly signal?: AbortSignal;
  /** Told the cross-entropy, in nats, of a step now and then. */
  readonly onStep?: (step: number, crossEntropy: number) => void;
  /** Told the validation text's perplexity behind each epoch. */
  readonly onEpoch?: (epoch: number, perplexity: number) => void;
}

/** Steps between two calls of `onStep`. */
const LOG_INTERVAL = 50;

/**
 * Trains {@link lstmModel} on a corpus by truncated back-propagation through time. The caller
 * disposes the session.
 *
 * @throws the reason of `signal` where it ends the training.
 */
export async function trainLanguageModel(
  { vocab, train: text, validation }: Corpus,
  options: TrainOptions,
): Promise<Session> {
  const { units = 64, words = 240_000, epochs = 1, streams = 32, steps = 20 } = options;
  const { learningRate = 0.005, seed = 1, backend, signal, onStep, onEpoch } = options;
  const states = Object.fromEntries(Object.keys(CARRIED).map((name) => [name, units]));
  const train = streamSource({ ids: text.subarray(0, words), streams, steps, states });
  const rate = cosineSchedule({ initial: learningRate, steps: epochs * train.batchesPerEpoch! });
  const session = await createSession({
    model: () => lstmModel({ vocabulary: vocab.length, units }),
    loss: { logits: sequenceCrossEntropy() },
    optimizer: chain(clipByGlobalNorm(1), adam({ learningRate: rate })),
    plugins: [carriedState({ carry: CARRIED })],
    train,
    seed,
    backend,
    logInterval: LOG_INTERVAL,
  });
  session.telemetry.on('step', ({ step, total }) => onStep?.(step, total));
  try {
    for (let epoch = 1; epoch <= epochs; epoch++) {
      await session.fit({ epochs: epoch, signal });
      signal?.throwIfAborted();
      onEpoch?.(epoch, await perplexity(session.model, validation));
    }
    return session;
  } catch (error) {
    await session.dispose();
    throw error;
  }
}
