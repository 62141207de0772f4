import { EspalierError, parseOptions } from '@espalier/core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import type { Level } from './levels.js';
import { labelPyramidOptions } from './options.js';
import type { Design, LabelPyramidOptions } from './options.js';
import { ResizeTo } from './resize-to.js';

type Layer = tfl.layers.Layer;

/** A feature map, by its shape without the batch. */
type Map = Pick<Level, 'shape'>;

/** Name of the input that takes the features of level `i`, counted from 0 at the shallowest. */
export const featuresName = (i: number) => `features_${i + 1}`;

/** Name of the output of logits `[batch, classes]` of level `i`; the deepest level has none. */
export const headName = (i: number) => `head_${i + 1}`;

/**
 * The network of `labelGenerator` alone: it makes soft labels for shallow exits from feature maps
 * F_1 … F_K, from the top down (MetaDistiller, Liu et al. 2020; feature pyramid, Lin et al. 2017):
 * P_K = lateral_K(F_K), P_i = block_i(merge(resize(P_{i+1}), lateral_i(F_i))), and for each i < K the
 * logits head_i(mean of P_i over its positions).
 *
 * @param shapes Of the maps, shallowest first and without the batch, all of one kind: `[channels]`,
 * `[steps, channels]` or `[height, width, channels]`. Two or more.
 * @param options Those of the plugin that describe the network.
 * @returns A model with inputs `features_1` … `features_K` and outputs `head_1` … `head_K−1`, logits
 * `[batch, classes]`. It is new; train it as any model, and dispose it.
 * @throws EspalierError `options/invalid`, `label-generator/shapes`.
 * @example
 * const generator = buildLabelPyramid([[8, 8, 16], [4, 4, 32]], 10);
 * const target = stopGradient(generator.apply([shallow, deep], { training: true }));
 * const loss = tf.mean(softDivergence(target, exitLogits, 3));
 */
export function buildLabelPyramid(
  shapes: readonly (readonly number[])[],
  classes: number,
  options: LabelPyramidOptions = {},
): LayersModel {
  checkShapes(shapes);
  const { channels = shapes[0]!.at(-1)!, ...rest } = parseOptions(
    'buildLabelPyramid',
    labelPyramidOptions,
    options,
  );
  const levels = shapes.map((shape) => ({ shape }));
  return connect(levels, classes, { ...rest, channels });
}

function checkShapes(shapes: readonly (readonly number[])[]): void {
  const rank = shapes[0]?.length ?? 0;
  const alike = shapes.every(
    (shape) => shape.length === rank && shape.every((size) => Number.isInteger(size) && size > 0),
  );
  if (shapes.length >= 2 && alike && rank >= 1 && rank <= 3) return;
  throw new EspalierError('label-generator/shapes', {
    problem: 'the generator needs two or more feature maps of one kind and of known size',
    received: shapes,
    fix: 'Give shapes without the batch, shallowest first: [[16, 16, 8], [8, 8, 16]].',
  });
}

function connect(levels: readonly Map[], classes: number, design: Design): LayersModel {
  const inputs = levels.map(({ shape }, i) =>
    tfl.input({ name: featuresName(i), shape: [...shape] }),
  );
  const laterals = inputs.map((input, i) => through(lateral(i, levels[i]!, design), input));
  const heads: SymbolicTensor[] = [];
  let above = laterals.at(-1)!;
  for (let i = levels.length - 2; i >= 0; i--) {
    const level = levels[i]!;
    const merged = merge(i, [resizeTo(i, above, level, design), laterals[i]!], design);
    above = through(block(i, level, design), merged);
    heads.unshift(through(head(i, level, classes, design), above));
  }
  return tfl.model({ inputs, outputs: heads });
}

function through(layers: readonly Layer[], input: SymbolicTensor): SymbolicTensor {
  return layers.reduce((x, layer) => layer.apply(x) as SymbolicTensor, input);
}

function lateral(i: number, level: Map, design: Design): Layer[] {
  const name = `lateral_${i + 1}`;
  if (design.lateral === 'linear') return [convolution(name, level, design)];
  return [convolution(name, level, design, { useBias: false }), normalization(name)];
}

function resizeTo(
  i: number,
  above: SymbolicTensor,
  { shape }: Map,
  { upsample }: Design,
): SymbolicTensor {
  const size = shape.slice(0, -1);
  if (String(size) === String(above.shape.slice(1, -1))) return above;
  return through([new ResizeTo({ name: `resize_${i + 1}`, size, mode: upsample })], above);
}

function merge(i: number, both: SymbolicTensor[], design: Design): SymbolicTensor {
  const name = `merge_${i + 1}`;
  const layer =
    design.merge === 'add' ? tfl.layers.add({ name }) : tfl.layers.concatenate({ name, axis: -1 });
  return layer.apply(both) as SymbolicTensor;
}

function block(i: number, level: Map, design: Design): Layer[] {
  if (design.block === 'none') return [];
  const name = `block_${i + 1}`;
  return [
    convolution(name, level, design, { kernelSize: 3, useBias: false }),
    normalization(name),
    tfl.layers.reLU({ name: `${name}_relu` }),
  ];
}

function head(i: number, level: Map, classes: number, design: Design): Layer[] {
  const hidden = { name: `hidden_${i + 1}`, units: design.channels, activation: 'relu' } as const;
  return [
    ...pooling(`pool_${i + 1}`, level),
    ...(design.head === 'hidden' ? [tfl.layers.dense(hidden)] : []),
    tfl.layers.dense({ name: headName(i), units: classes }),
  ];
}

function pooling(name: string, { shape }: Map): Layer[] {
  if (shape.length === 1) return [];
  const layers = tfl.layers;
  return [
    shape.length === 2
      ? layers.globalAveragePooling1d({ name })
      : layers.globalAveragePooling2d({ name }),
  ];
}

/** Over the positions that there are; of a vector, a dense layer. */
function convolution(
  name: string,
  { shape }: Map,
  { channels: filters }: Design,
  { kernelSize = 1, useBias = true } = {},
): Layer {
  if (shape.length === 1) return tfl.layers.dense({ name, units: filters, useBias });
  const args = { name, filters, kernelSize, useBias, padding: 'same' } as const;
  return shape.length === 2 ? tfl.layers.conv1d(args) : tfl.layers.conv2d(args);
}

function normalization(name: string): Layer {
  return tfl.layers.batchNormalization({
    name: `${name}_norm`,
    ...{ momentum: 0.9, epsilon: 1e-5 },
  });
}
