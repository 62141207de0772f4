import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadArtifact, saveArtifact } from '@espalier/artifact/node';
import { useBackend } from '@espalier/backend';
import { disposeModel, keyedStream } from '@espalier/core';
import { topK, topKSearch } from '@espalier/plugin-block-low-rank';
import type { BlockLowRankDense } from '@espalier/plugin-block-low-rank';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import {
  asOneBlock,
  COLUMNS,
  compressedModel,
  denseModel,
  uniform,
  WORDS,
} from './compressed-models.js';
import { cpuClock, ratio, timeInTurn } from './measure.js';
import type { Contender, Figure } from './measure.js';

const K = 10;

interface Compressed {
  readonly name: string;
  /** Numbers of the dense matrix over numbers of the factors. */
  readonly ratio: number;
  readonly model: LayersModel;
}

/** Top-k, look-ups and memory of compressed matrices beside dense ones, 10 000 × 200; CPU time. */
export async function benchGroupReduce(): Promise<readonly Figure[]> {
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
    ...(await softmax(dense, models, 1)),
    ...(await softmax(dense, models, 32)),
    ...(await lookUps(dense, models, 32)),
    ...(await lookUps(dense, models, 700)),
  ];
  for (const each of models) figures.push(await memory(each));
  for (const model of [dense, ...models.map(({ model }) => model)]) disposeModel(model);
  backend.dispose();
  return figures;
}

/**
 * Top 10 against the faster of two dense routes: a product and the same selection, and `tf.topk`.
 * The target is for searches made ready once; `topK` decodes codes anew in every call.
 */
async function softmax(
  dense: LayersModel,
  models: readonly Compressed[],
  batch: number,
): Promise<Figure[]> {
  const x = uniform(`inputs of ${batch}`, [batch, COLUMNS]) as tf.Tensor2D;
  const oneBlock = asOneBlock(dense);
  const layers = models.map(({ model }) => model.getLayer('softmax') as BlockLowRankDense);
  const searches = await Promise.all([oneBlock, ...layers].map((layer) => topKSearch(layer)));
  const [denseSearch, ...ready] = searches;
  const contenders: Record<string, Contender> = {
    dense: () => denseSearch!.find(x, K),
    'dense, tf.topk': () => tfTopK(dense, x),
  };
  models.forEach(({ name }, i) => {
    contenders[name] = () => ready[i]!.find(x, K);
    contenders[`${name}, not made ready`] = () => topK(layers[i]!, x, K);
  });
  const times = await timeInTurn(contenders, {
    rounds: 40,
    repeat: batch === 1 ? 5 : 1,
    clock: cpuClock,
  });
  const routes = [times['dense']!, times['dense, tf.topk']!];
  const best = routes.sort((a, b) => a.median - b.median)[0]!;
  tf.dispose([x, ...oneBlock.weights.map((weight) => weight.read())]);
  searches.forEach((search) => search.dispose());
  return models.flatMap(({ name, ratio: factor }) =>
    ['', ', not made ready'].map((way) => {
      const target = way ? undefined : 1.5 / factor;
      return ratio(
        `top ${K} / dense, batch ${batch}: ${name}${way}`,
        times[name + way]!,
        best,
        target,
      );
    }),
  );
}

async function tfTopK(dense: LayersModel, x: tf.Tensor2D): Promise<void> {
  const [kernel, bias] = dense.getLayer('softmax').weights.map((weight) => weight.read());
  const best = tf.tidy(() => tf.topk(tf.add(tf.matMul(x, kernel as tf.Tensor2D), bias!), K));
  await Promise.all([best.values.data(), best.indices.data()]);
  tf.dispose([best.values, best.indices]);
}

/** Look-ups per second, of words drawn alike. */
async function lookUps(
  dense: LayersModel,
  models: readonly Compressed[],
  count: number,
): Promise<Figure[]> {
  const draw = keyedStream('group-reduce', 'ids', count);
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
  const times = await timeInTurn(contenders, { rounds: 40, repeat: 5, clock: cpuClock });
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
