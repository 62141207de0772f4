import * as tfl from '@tensorflow/tfjs-layers';
import { unknownLayer } from './names.js';
import { callsOf } from './parameters.js';
import type { Layer } from './parameters.js';
import type { ModelView } from './view.js';

type Shape = readonly (number | null)[];

/** A layer of one's own may count itself; shapes come with the batch dimension. */
interface CountsItself {
  macs(inputShape: Shape, outputShape: Shape): number;
}

/** Multiply-accumulate operations per example, from a layer's kernels and the shapes of one call. */
type Count = (kernels: readonly Shape[], input: Shape, output: Shape) => number;

const perOutput: Count = (kernels, _, output) => {
  const channels = kernels.at(-1)!.at(-1)!;
  return (volume(kernels) * size(output.slice(1))) / channels;
};
const depthwise: Count = ([kernel], _, output) =>
  (size(kernel!) * size(output.slice(1))) / (kernel!.at(-2)! * kernel!.at(-1)!);
const transposed: Count = (kernels, input) =>
  (volume(kernels) * size(input.slice(1))) / kernels[0]!.at(-1)!;
const perStep: Count = (kernels, input) => volume(kernels) * (input[1] ?? 1);

const COUNTS: Readonly<Record<string, Count>> = {
  Dense: perOutput,
  Conv1D: perOutput,
  Conv2D: perOutput,
  Conv3D: perOutput,
  SeparableConv2D: perOutput,
  DepthwiseConv2D: depthwise,
  Conv2DTranspose: transposed,
  Conv3DTranspose: transposed,
  SimpleRNN: perStep,
  GRU: perStep,
  LSTM: perStep,
  RNN: perStep,
  Bidirectional: perStep,
};

/**
 * Multiply-accumulate operations per example of one call. Counted: dense, convolutional (transposed,
 * separable, depthwise) and recurrent layers, whatever TimeDistributed and nested models hold, and
 * layers with a method `macs(inputShape, outputShape)`. All others (lookups, normalisation, pooling,
 * activations, bias) count 0; a dimension of unknown length counts as 1.
 */
export function macsOf(layer: Layer, input: Shape, output: Shape): number {
  const own = layer as Layer & Partial<CountsItself>;
  if (own.macs) return own.macs(input, output);
  if (layer instanceof tfl.LayersModel) return modelMacs(layer);
  const { layer: wrapped } = layer as Layer & { layer?: Layer };
  if (wrapped && layer.getClassName() === 'TimeDistributed') {
    const step = (shape: Shape) => [shape[0]!, ...shape.slice(2)];
    return macsOf(wrapped, step(input), step(output)) * (input[1] ?? 1);
  }
  const kernels = layer.weights.map(({ shape }) => shape).filter((shape) => shape.length > 1);
  return COUNTS[layer.getClassName()]?.(kernels, input, output) ?? 0;
}

/** Of every call of a layer together. */
export function macsOfCalls(layer: Layer, calls: Iterable<tfl.SymbolicTensor>): number {
  const byCall = new Map([...calls].map((output) => [output.nodeIndex, output]));
  const each = [...byCall.values()].map(({ inputs, shape }) =>
    inputs.length === 0 ? 0 : macsOf(layer, inputs[0]!.shape, shape),
  );
  return each.reduce((a, b) => a + b, 0);
}

/**
 * Multiply-accumulate operations per example up to these layers: what an early exit there costs.
 * What they share counts once.
 *
 * @throws EspalierError `model/unknown-layer`.
 */
export function macsTo(view: ModelView, layerNames: readonly string[]): number {
  const layers = new Map(view.layers.map((layer) => [layer.name, layer]));
  const counted = new Set<string>();
  const count = (name: string): number => {
    if (counted.has(name)) return 0;
    counted.add(name);
    const layer = layers.get(name);
    if (!layer) throw unknownLayer(name, [...layers.keys()]);
    return layer.inbound.map(count).reduce((a, b) => a + b, layer.macs);
  };
  return layerNames.map(count).reduce((a, b) => a + b, 0);
}

function modelMacs(model: tfl.LayersModel): number {
  const each = [...callsOf(model)].map(([layer, calls]) => macsOfCalls(layer, calls));
  return each.reduce((a, b) => a + b, 0);
}

function size(shape: Shape): number {
  return shape.reduce<number>((product, length) => product * (length ?? 1), 1);
}

function volume(kernels: readonly Shape[]): number {
  return kernels.map(size).reduce((a, b) => a + b, 0);
}
