import { join } from 'node:path';
import { loadArtifact, saveArtifact } from '@espalier/artifact/node';
import type { BackendInfo } from '@espalier/backend';
import { compressionAccount } from '@espalier/compression';
import type { AccountLine } from '@espalier/compression';
import { adam, chain, clipByGlobalNorm, cosineSchedule, createSession } from '@espalier/core';
import type { Session } from '@espalier/core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { carriedState } from '../language-model/carried-state.js';
import { CARRIED } from '../language-model/lstm-model.js';
import { perplexity } from '../language-model/perplexity.js';
import { sequenceCrossEntropy } from '../language-model/sequence-cross-entropy.js';
import { streamSource } from '../language-model/streams.js';
import { presetOf } from './rows.js';
import type { Row } from './rows.js';
import type { Subject } from './subject.js';

/** Perplexity on the texts that choose and that tell. */
export interface Perplexities {
  readonly validation: number;
  readonly test: number;
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
  readonly account: readonly AccountLine[];
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

/** Compresses, measures, retrains and measures again; keeps the model as an artifact. */
export async function measureRow(row: Row, ratio: number, measure: Measure): Promise<RowResult> {
  const { subject, out, onStage, signal } = measure;
  const started = performance.now();
  const session = await open(row, ratio, measure);
  try {
    if (row.statistics) {
      onStage('gathering importance');
      await session.evaluate(statisticsSource(subject));
    }
    onStage('compressing');
    if (hasTransform(session)) await session.transform();
    const account = compressionAccount(session.inspect().edits);
    const before = await perplexities(session.model, measure, 'before');
    const retrained = !account.some(({ plugin }) => plugin === 'quantizer');
    if (retrained) {
      onStage('retraining');
      await session.fit({ epochs: 1, signal });
      signal.throwIfAborted();
    }
    const after = retrained ? await perplexities(session.model, measure, 'after') : before;
    const { total } = await saveArtifact(modelFolder(out, row.name, ratio), {
      model: session.model,
      edits: session.inspect().edits,
    });
    return {
      row: row.name,
      ratio,
      ...bytesOf(session.model, subject),
      artifactBytes: total,
      before,
      after,
      retrained,
      account,
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
    ids: corpus.train.subarray(0, retrain.words),
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

async function perplexities(
  model: LayersModel,
  { subject, onStage, signal }: Measure,
  when: string,
): Promise<Perplexities> {
  const on = async (text: 'validation' | 'test') => {
    onStage(`${text} perplexity ${when}`);
    const value = await perplexity(model, subject.corpus[text]);
    signal.throwIfAborted();
    return value;
  };
  return { validation: await on('validation'), test: await on('test') };
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
