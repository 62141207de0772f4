import { arraySource, keyedRng } from '@espalier/core';
import type { HostArray, Source } from '@espalier/core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';

/** Two dense layers, 6 → 8 → 3 logits, tanh: twice differentiable everywhere. */
export function tinyMlp(): LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.dense({ name: 'hidden', units: 8, activation: 'tanh', inputShape: [6] }),
      tfl.layers.dense({ name: 'logits', units: 3 }),
    ],
  });
}

/** As {@link tinyMlp}, with batch normalization and dropout: randomness and moving statistics. */
export function tinyNoisyMlp(): LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.dense({ name: 'hidden', units: 8, inputShape: [6] }),
      tfl.layers.batchNormalization({ name: 'norm' }),
      tfl.layers.activation({ name: 'tanh', activation: 'tanh' }),
      tfl.layers.dropout({ name: 'dropout', rate: 0.3 }),
      tfl.layers.dense({ name: 'logits', units: 3 }),
    ],
  });
}

/** Three small convolutions on 8×8×1 with batch normalization, then 3 logits. */
export function tinyCnn(): LayersModel {
  const conv = (name: string, filters: number, strides = 1, first = false) => [
    tfl.layers.conv2d({
      name,
      filters,
      strides,
      kernelSize: 3,
      padding: 'same',
      useBias: false,
      ...(first && { inputShape: [8, 8, 1] }),
    }),
    tfl.layers.batchNormalization({ name: `${name}_norm` }),
    tfl.layers.activation({ name: `${name}_relu`, activation: 'relu' }),
  ];
  return tfl.sequential({
    layers: [
      ...conv('stage1', 4, 1, true),
      ...conv('stage2', 6, 2),
      ...conv('stage3', 8, 2),
      tfl.layers.globalAveragePooling2d({ name: 'pool' }),
      tfl.layers.dense({ name: 'logits', units: 3 }),
    ],
  });
}

/** Options of {@link tinyData}. */
export interface TinyDataOptions {
  readonly examples?: number;
  /** Shape of one input; default `[6]`. */
  readonly shape?: readonly number[];
  readonly classes?: number;
  readonly seed?: number;
}

/** Seeded Gaussian blobs, one per class, as host arrays: `x` inputs, `y` class ids. */
export function tinyData({
  examples = 24,
  shape = [6],
  classes = 3,
  seed = 0,
}: TinyDataOptions = {}): { readonly x: HostArray; readonly y: HostArray } {
  const draw = keyedRng(seed, 'tiny-data');
  const size = shape.reduce((a, b) => a * b, 1);
  const centres = Float32Array.from({ length: classes * size }, () => 2 * draw() - 1);
  const y = Int32Array.from({ length: examples }, (_, i) => i % classes);
  const x = Float32Array.from({ length: examples * size }, (_, i) => {
    const centre = centres[y[Math.floor(i / size)]! * size + (i % size)]!;
    return centre + gaussian(draw) * 0.5;
  });
  return { x: { data: x, shape: [examples, ...shape] }, y: { data: y, shape: [examples] } };
}

/** {@link tinyData} as a shuffled source in batches of 4. */
export function tinySource(
  options: TinyDataOptions & { readonly batchSize?: number } = {},
): Source {
  return arraySource({ ...tinyData(options), batchSize: options.batchSize ?? 4 });
}

/** The input shape that a model wants, without the batch. */
export function inputShapeOf(model: LayersModel): number[] {
  return (model.inputs[0]!.shape.slice(1) as number[]).map((size) => size ?? 1);
}

function gaussian(draw: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
}
