import type { BackendInfo } from '@espalier/backend';
import { adam, chain, clipByGlobalNorm, cosineSchedule, createSession } from '@espalier/core';
import type { Session } from '@espalier/core';
import { carriedState } from './carried-state.js';
import type { Corpus } from './corpus.js';
import { CARRIED, lstmModel } from './lstm-model.js';
import { perplexity } from './perplexity.js';
import { sequenceCrossEntropy } from './sequence-cross-entropy.js';
import { streamSource } from './streams.js';

/** What is trained unless told otherwise: a demonstration on one thread. */
export const TRAINING = {
  units: 64,
  words: 200_000,
  epochs: 1,
  streams: 16,
  steps: 10,
  learningRate: 0.007,
} as const;

/** How to train; the defaults are {@link TRAINING}. */
export interface TrainOptions {
  /** Width of embedding and LSTMs. */
  readonly units?: number;
  /** Words of the training text that are read, from its start. */
  readonly words?: number;
  readonly epochs?: number;
  readonly streams?: number;
  /** Words of each stream in a step. */
  readonly steps?: number;
  /** Of Adam, falling by half a cosine. */
  readonly learningRate?: number;
  readonly seed?: number;
  readonly backend: BackendInfo;
  readonly signal?: AbortSignal;
  /** Told now and then, of how many steps, the mean cross-entropy in nats since it was told before. */
  readonly onStep?: (step: number, crossEntropy: number, steps: number) => void;
  /** Told the validation text's perplexity behind each epoch. */
  readonly onEpoch?: (epoch: number, perplexity: number) => void;
}

/** Steps between two calls of `onStep`. */
const TOLD_EVERY = 125;
/** Where weights start: for so short a training, words far from each other. */
const START = { scale: 0.15, embeddingScale: 1 };

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
  const { units, words, epochs, streams, steps, learningRate } = { ...TRAINING, ...options };
  const { seed = 1, backend, signal, onStep, onEpoch } = options;
  const states = Object.fromEntries(Object.keys(CARRIED).map((name) => [name, units]));
  const train = streamSource({ ids: text.subarray(0, words), streams, steps, states });
  const total = epochs * train.batchesPerEpoch!;
  const rate = cosineSchedule({ initial: learningRate, steps: total });
  const session = await createSession({
    model: () => lstmModel({ vocabulary: vocab.length, units, ...START }),
    loss: { logits: sequenceCrossEntropy() },
    optimizer: chain(clipByGlobalNorm(1), adam({ learningRate: rate })),
    plugins: [carriedState({ carry: CARRIED })],
    train,
    seed,
    backend,
    logInterval: 1,
  });
  let nats = 0;
  session.telemetry.on('step', ({ step, total: crossEntropy }) => {
    nats += crossEntropy / TOLD_EVERY;
    if (step % TOLD_EVERY !== 0) return;
    onStep?.(step, nats, total);
    nats = 0;
  });
  try {
    for (let epoch = 1; epoch <= epochs; epoch++) {
      await session.fit({ untilEpoch: epoch, signal });
      signal?.throwIfAborted();
      onEpoch?.(epoch, await perplexity(session.model, validation));
    }
    return session;
  } catch (error) {
    await session.dispose();
    throw error;
  }
}
