import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BackendInfo } from '@espalier/backend';
import { buildModel, extractGraph } from '@espalier/core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { loadBrown } from '../language-model/brown.js';
import type { Corpus } from '../language-model/corpus.js';
import { loadPennTreebank } from '../language-model/penn-treebank.js';
import { modelFromPytorch } from '../language-model/pytorch-weights.js';
import { TRAINING, trainLanguageModel } from '../language-model/train.js';

/** A trained language model and the texts that it is measured on. */
export interface Subject {
  readonly name: string;
  readonly corpus: Corpus;
  /** Width of embedding, states and softmax. */
  readonly units: number;
  /** Streams and words of a window in retraining. */
  readonly streams: number;
  readonly steps: number;
  /** A fresh copy of the trained model. */
  model(): LayersModel;
  dispose(): void;
}

/** The LSTM that PyTorch trained on the Penn Treebank, from `ptb/` and `ptb-lstm/` in a folder. */
export function pennTreebank(folder: string): Subject {
  const file = readFileSync(join(folder, 'ptb-lstm', 'model.safetensors'));
  return {
    name: 'Penn Treebank, LSTM 2 × 200 (PyTorch)',
    corpus: loadPennTreebank(folder),
    units: 200,
    streams: 20,
    steps: 35,
    model: () => modelFromPytorch(file),
    dispose: () => undefined,
  };
}

/** A smaller LSTM, trained here on the Brown corpus in about half a minute. */
export async function brown(
  options: {
    readonly seed: number;
    readonly backend: BackendInfo;
    readonly signal: AbortSignal;
  } & {
    readonly onStep: (step: number, crossEntropy: number, steps: number) => void;
  },
): Promise<Subject> {
  const corpus = loadBrown();
  const { words, units, streams, steps } = TRAINING;
  const session = await trainLanguageModel(corpus, options);
  const trained = session.export({ outputs: session.model.outputNames });
  await session.dispose();
  return {
    name: `Brown corpus, LSTM 2 × ${units} trained on ${words.toLocaleString('en')} words`,
    corpus,
    units,
    streams,
    steps,
    model: () => buildModel(extractGraph(trained)),
    dispose: () => trained.dispose(),
  };
}
