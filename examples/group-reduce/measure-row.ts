import { join } from 'node:path';
import type { BackendInfo } from '@espalier/backend';
import { compressionReport, decileErrors, frequencyDeciles, readRows } from '@espalier/compression';
import type { CompressionReportLine } from '@espalier/compression';
import {
  adam,
  chain,
  clipByGlobalNorm,
  cosineSchedule,
  createSession,
  disposeModel,
  keyedRng,
} from '@espalier/core';
import type { Session } from '@espalier/core';
import { loadArtifact, saveArtifact } from '@espalier/formats/node';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { carriedState } from '../language-model/carried-state.js';
import { CARRIED } from '../language-model/lstm-model.js';
import { lossByWord, meanLoss } from '../language-model/perplexity.js';
import { sequenceCrossEntropy } from '../language-model/sequence-cross-entropy.js';
import { streamSource } from '../language-model/streams.js';
import { presetOf } from './rows.js';
import type { Row } from './rows.js';
import type { Subject } from './subject.js';

/** Perplexity on the text that tells. */
export interface OnTest {
  readonly test: number;
  /** Mean loss in nats, by frequency decile of the words, the frequent ones first. */
  readonly deciles: readonly number[];
}

/** Perplexity on the texts that choose and that tell. */
export interface Perplexities extends OnTest {
  readonly validation: number;
}

/** What one row came to. */
export interface RowResult {
  readonly row: string;
  readonly ratio: number;
  /** Bytes of the two matrices, everything counted but the biases. */
  readonly bytes: number;
  /** Bytes of both when dense. */
  readonly denseBytes: number;
  /** Bytes of the whole artifact on disk, its manifest included. */
  readonly artifactBytes: number;
  readonly before: Perplexities;
  /** Behind retraining; as before where the row is not retrained. */
  readonly after: Perplexities;
  readonly retrained: boolean;
  readonly account: readonly CompressionReportLine[];
  /** Relative error of each matrix as compressed, by frequency decile of the words. */
  readonly errors: Readonly<Record<string, readonly number[]>>;
  readonly seconds: number;
}

/** How every row is measured. */
export interface Measure {
  readonly subject: Subject;
  readonly blocks: number;
  readonly retrain: { readonly words: number; readonly learningRate: number };
  readonly seed: number;
  readonly out: string;
  readonly backend: BackendInfo;
  readonly signal: AbortSignal;
  readonly onStage: (stage: string) => void;
}

const MATRICES = ['embedding', 'softmax'];
/** Words that importance is gathered on. */
const STATISTICS = 60_000;
/** Words that fill a window of every subject's streams: a session wants a source, trained or not. */
const SHORTEST = 2000;

/** Compresses, measures, retrains and measures again; keeps the model as an artifact. */
export async function measureRow(row: Row, ratio: number, measure: Measure): Promise<RowResult> {
  const { subject, out, onStage, signal, retrain } = measure;
  const started = performance.now();
  const session = await open(row, ratio, measure);
  try {
    if (row.statistics) {
      onStage('gathering importance');
      await session.evaluate(statisticsSource(subject));
    }
    if (hasTransform(session)) {
      onStage('compressing');
      await session.transform();
    }
    const errors = await errorsOf(session.model, subject);
    const before = await perplexities(session.model, measure, 'before');
    const retrained = row.retraining !== 'never' && retrain.words > 0;
    if (retrained) {
      onStage('retraining');
      await session.fit({ epochs: 1, signal });
      signal.throwIfAborted();
      if (row.retraining === 'aware') await session.transform();
    }
    const after = retrained ? await perplexities(session.model, measure, 'after') : before;
    const { edits } = session.inspect();
    const folder = modelFolder(out, row.name, ratio);
    const { total } = await saveArtifact(folder, { model: session.model, edits });
    return {
      row: row.name,
      ratio,
      ...bytesOf(session.model, subject),
      artifactBytes: total,
      before,
      after,
      retrained,
      account: compressionReport(edits),
      errors,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    await session.dispose();
  }
}

async function open(row: Row, ratio: number, measure: Measure): Promise<Session> {
  const { subject, blocks, retrain, seed, backend, out } = measure;
  const { corpus, streams, steps } = subject;
  const train = streamSource({
    ids: excerpt(corpus.train, retrain.words, seed),
    streams,
    steps,
    states: statesOf(subject),
  });
  const rate = cosineSchedule({ initial: retrain.learningRate, steps: train.batchesPerEpoch! });
  return createSession({
    model: () => startOf(row, ratio, subject, out),
    preset: presetOf(
      row,
      { ratio, blocks, counts: corpus.counts },
      { 'carried-state': { use: carriedState, options: { carry: CARRIED } } },
    ),
    loss: { logits: sequenceCrossEntropy() },
    optimizer: chain(clipByGlobalNorm(0.25), adam({ learningRate: rate })),
    train,
    seed,
    backend,
  });
}

/** The dense model, or what the row goes on from. */
async function startOf(
  row: Row,
  ratio: number,
  subject: Subject,
  out: string,
): Promise<LayersModel> {
  if (row.after === undefined) return subject.model();
  return (await loadArtifact(modelFolder(out, row.after, ratio))).model;
}

function modelFolder(out: string, row: string, ratio: number): string {
  return join(out, 'models', `${row.replaceAll(' ', '-').toLowerCase()}-${ratio}x`);
}

function hasTransform(session: Session): boolean {
  return session.inspect().hooks.some(({ hook, taps }) => hook === 'transform' && taps.length > 0);
}

function statisticsSource(subject: Subject) {
  const ids = subject.corpus.train.subarray(0, STATISTICS);
  // Long windows: an evaluation begins each with empty states.
  return streamSource({ ids, streams: subject.streams, steps: 100, states: statesOf(subject) });
}

function statesOf({ units }: Subject): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.keys(CARRIED).map((name) => [name, units]));
}

/** A stretch of the text, which the seed draws; no shorter than one window. */
function excerpt(text: Int32Array, words: number, seed: number): Int32Array {
  const length = Math.min(text.length, Math.max(words, SHORTEST));
  const begin = Math.floor(keyedRng(seed, 'excerpt')() * (text.length - length + 1));
  return text.subarray(begin, begin + length);
}

async function perplexities(
  model: LayersModel,
  { subject, signal, onStage }: Measure,
  when: string,
): Promise<Perplexities> {
  onStage(`validation perplexity ${when}`);
  const validation = Math.exp(meanLoss(await lossByWord(model, subject.corpus.validation)));
  signal.throwIfAborted();
  onStage(`test perplexity ${when}`);
  const told = await onTest(model, subject);
  signal.throwIfAborted();
  return { validation, ...told };
}

/** What the test text tells of a model. */
export async function onTest(model: LayersModel, { corpus }: Subject): Promise<OnTest> {
  const loss = await lossByWord(model, corpus.test);
  const deciles = frequencyDeciles(corpus.vocab.length, corpus.counts);
  return {
    test: Math.exp(meanLoss(loss)),
    deciles: deciles.map((words) => meanLoss(loss, words)),
  };
}

/** Of the matrices against the dense ones. */
async function errorsOf(model: LayersModel, subject: Subject): Promise<RowResult['errors']> {
  const { vocab, counts } = subject.corpus;
  const words = vocab.length;
  const deciles = frequencyDeciles(words, counts);
  const dense = subject.model();
  const errors = MATRICES.map(async (name) => {
    const original = await readRows(dense.getLayer(name), words);
    const approximated = await readRows(model.getLayer(name), words);
    return [name, decileErrors(original!, approximated!, deciles)] as const;
  });
  const entries = await Promise.all(errors);
  disposeModel(dense);
  return Object.fromEntries(entries);
}

/** Weights of the two layers but their biases, 4 bytes a number: float32, int32 words and indices. */
function bytesOf(model: LayersModel, { corpus, units }: Subject) {
  const weights = MATRICES.flatMap((name) => model.getLayer(name).weights);
  const counted = weights.filter(({ originalName }) => !originalName.endsWith('bias'));
  const numbers = counted.reduce(
    (sum, { shape }) => sum + shape.reduce<number>((size, n) => size * n!, 1),
    0,
  );
  return { bytes: 4 * numbers, denseBytes: 4 * 2 * corpus.vocab.length * units };
}
