import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { useBackend } from '@espalier/backend';
import { disposeModel, keyedRng } from '@espalier/core';
import { loadArtifact, saveArtifact } from '@espalier/formats/node';
import { topK, topKSearch } from '@espalier/plugin-block-low-rank';
import type { BlockLowRankDense } from '@espalier/plugin-block-low-rank';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import {
  asOneBlock,
  compressedModel,
  denseModel,
  randomSoftmax,
  uniform,
  WORDS,
} from './compressed-models.js';
import { cpuClock, ratio, timeInTurn } from './measure.js';
import type { BenchOptions, Contender, Figure } from './measure.js';

const K = 10;

interface Compressed {
  readonly name: string;
  /** Numbers of the dense matrix over numbers of the factors. */
  readonly ratio: number;
  readonly model: LayersModel;
}

/** Top-k, look-ups and memory of compressed matrices beside dense ones, 10 000 × 200; CPU time. */
export async function benchGroupReduce({ quick }: BenchOptions): Promise<readonly Figure[]> {
  const rounds = quick ? 10 : 40;
  const backend = await useBackend({ prefer: ['wasm'] });
  const dense = denseModel();
  const models: Compressed[] = [];
  for (const ratio of [4, 8]) {
    for (const bits of [undefined, 8, 4] as const) {
      const name = `${ratio}×, ${bits ? `${bits}-bit codes` : 'float32'}`;
      models.push({ name, ratio, model: await compressedModel(ratio, bits) });
    }
  }
  const figures = [
    ...(await softmaxes(asOneBlock(dense), models.map(softmaxOf), rounds)),
    ...(await largeSoftmaxes(rounds)),
    ...(await lookUps(dense, models, 32, rounds)),
    ...(await lookUps(dense, models, 700, rounds)),
  ];
  for (const each of models) figures.push(await memory(each));
  for (const model of [dense, ...models.map(({ model }) => model)]) disposeModel(model);
  backend.dispose();
  return figures;
}

interface Softmax {
  readonly name: string;
  readonly ratio: number;
  readonly layer: BlockLowRankDense;
}

function softmaxOf({ name, ratio, model }: Compressed): Softmax {
  return { name, ratio, layer: model.getLayer('softmax') as BlockLowRankDense };
}

/** 30 522 × 384, where a dense product no longer fits the caches; the factors are random. */
async function largeSoftmaxes(rounds: number): Promise<Figure[]> {
  const [words, columns] = [30_522, 384];
  const compressed = [4, 8].map((ratio) => {
    return { name: `${ratio}×, float32`, ratio, layer: randomSoftmax(words, columns, ratio) };
  });
  const figures = await softmaxes(randomSoftmax(words, columns), compressed, rounds);
  for (const { layer } of compressed) disposeWeights(layer);
  return figures;
}

/** At both batch sizes. Disposes the dense layer. */
async function softmaxes(
  dense: BlockLowRankDense,
  compressed: readonly Softmax[],
  rounds: number,
): Promise<Figure[]> {
  const figures = [
    ...(await topTen(dense, compressed, 1, rounds)),
    ...(await topTen(dense, compressed, 32, rounds)),
  ];
  disposeWeights(dense);
  return figures;
}

/**
 * Top 10 against the faster of two dense routes: a product and the same selection, and `tf.topk`.
 * The target is for searches made ready once; `topK` decodes codes anew in every call.
 */
async function topTen(
  dense: BlockLowRankDense,
  compressed: readonly Softmax[],
  batch: number,
  rounds: number,
): Promise<Figure[]> {
  const { words, columns } = dense.matrix;
  const x = uniform(`inputs of ${batch}`, [batch, columns]) as tf.Tensor2D;
  const kernel = tf.tidy(() => tf.transpose(dense.matrix.sliceRows(0, 0, words)));
  const layers = [dense, ...compressed.map(({ layer }) => layer)];
  const [denseSearch, ...ready] = await Promise.all(layers.map((layer) => topKSearch(layer)));
  const contenders: Record<string, Contender> = {
    dense: () => denseSearch!.find(x, K),
    'dense, tf.topk': () => tfTopK(x, kernel, dense.bias!),
  };
  compressed.forEach(({ name, layer }, i) => {
    contenders[name] = () => ready[i]!.find(x, K);
    contenders[`${name}, not made ready`] = () => topK(layer, x, K);
  });
  const repeat = batch === 1 ? 5 : 1;
  const times = await timeInTurn(contenders, { rounds, repeat, clock: cpuClock });
  const routes = [times['dense']!, times['dense, tf.topk']!];
  const best = routes.sort((a, b) => a.median - b.median)[0]!;
  tf.dispose([x, kernel]);
  [denseSearch!, ...ready].forEach((search) => search.dispose());
  return compressed.flatMap(({ name, ratio: factor }) =>
    ['', ', not made ready'].map((way) => {
      const label = `${words} × ${columns}, top ${K} / dense, batch ${batch}: ${name}${way}`;
      return ratio(label, times[name + way]!, best, way ? undefined : 1.5 / factor);
    }),
  );
}

/** `dispose()` is only for layers that are part of a model. */
function disposeWeights({ weights }: BlockLowRankDense): void {
  tf.dispose(weights.map((weight) => weight.read()));
}

async function tfTopK(x: tf.Tensor2D, kernel: tf.Tensor2D, bias: tf.Tensor1D): Promise<void> {
  const best = tf.tidy(() => tf.topk(tf.add(tf.matMul(x, kernel), bias), K));
  await Promise.all([best.values.data(), best.indices.data()]);
  tf.dispose([best.values, best.indices]);
}

/** Look-ups per second, of words drawn alike. */
async function lookUps(
  dense: LayersModel,
  models: readonly Compressed[],
  count: number,
  rounds: number,
): Promise<Figure[]> {
  const draw = keyedRng('group-reduce', 'ids', count);
  const ids = tf.tensor2d(
    Int32Array.from({ length: count }, () => Math.floor(draw() * WORDS)),
    [count, 1],
    'int32',
  );
  const [matrix] = dense.getLayer('embedding').weights.map((weight) => weight.read());
  const rows = tf.reshape(ids, [count]);
  const contenders: Record<string, Contender> = {
    'tf.gather': touched(() => tf.gather(matrix!, rows)),
  };
  for (const { name, model } of models) {
    const layer = model.getLayer('embedding');
    contenders[name] = touched(() => layer.call(ids, {}) as tf.Tensor);
  }
  const times = await timeInTurn(contenders, { rounds, repeat: 5, clock: cpuClock });
  tf.dispose([ids, rows]);
  return Object.entries(times).map(([name, { median, min, max }]) => {
    const perSecond = (milliseconds: number) => Math.round((1000 * count) / milliseconds);
    return {
      name: `look-ups of ${count}: ${name}`,
      value: perSecond(median),
      unit: 'a second',
      spread: `[${perSecond(max)}–${perSecond(min)}]`,
    };
  });
}

/** With the numbers read. */
function touched(make: () => tf.Tensor): Contender {
  return async () => {
    const made = make();
    await made.data();
    made.dispose();
  };
}

/** Bytes that loading adds to the tensors in memory, against the artifact's bytes on disk. */
async function memory({ name, model }: Compressed): Promise<Figure> {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-group-reduce-'));
  try {
    const { total } = await saveArtifact(folder, { model });
    const before = tf.memory().numBytes;
    const loaded = await loadArtifact(folder);
    const grown = tf.memory().numBytes - before;
    disposeModel(loaded.model);
    return {
      name: `memory when loaded / bytes on disk: ${name}`,
      value: grown / total,
      unit: '×',
      target: 1.2,
      spread: `${grown} / ${total} bytes`,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
