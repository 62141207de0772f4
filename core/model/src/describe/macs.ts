import * as tfl from '@tensorflow/tfjs-layers';
import { canonicalOr, unknownLayerError } from '../graph/names.js';
import { listCalls } from '../weights/parameters.js';
import type { Layer } from '../weights/parameters.js';
import type { LayerInfo, ModelView } from './view.js';

type Shape = readonly (number | null)[];

/** A layer of one's own may count itself; shapes come with the batch dimension. */
interface CountsItself {
  macs(inputShape: Shape, outputShape: Shape): number;
}

/** Multiply-accumulate operations per example, or `undefined` where a layer does not tell them. */
export type Macs = number | undefined;

/** One call of a layer: the shapes of its weights of several dimensions, of its first input, of its output. */
interface Call {
  readonly layer: Layer;
  readonly kernels: readonly Shape[];
  readonly input: Shape;
  readonly output: Shape;
}

type Count = (call: Call) => Macs;

const countPerOutput: Count = ({ kernels, output }) => {
  const channels = kernels.at(-1)!.at(-1)!;
  return (volume(kernels) * size(output.slice(1))) / channels;
};
const countDepthwise: Count = ({ kernels: [kernel], output }) =>
  (size(kernel!) * size(output.slice(1))) / (kernel!.at(-2)! * kernel!.at(-1)!);
const countTransposed: Count = ({ kernels, input }) =>
  (volume(kernels) * size(input.slice(1))) / kernels[0]!.at(-1)!;
const countPerStep: Count = ({ kernels, input }) => volume(kernels) * (input[1] ?? 1);
/** Both kernels at each position of the state, in every step. */
const countConvolvedPerStep: Count = ({ layer, kernels, input, output }) => {
  const steps = input[1] ?? 1;
  const filters = layer.getConfig()['filters'] as number;
  const positions = size(output.slice(output.length === 5 ? 2 : 1)) / filters;
  return volume(kernels) * positions * steps;
};
const countCells: Count = (call) =>
  listCells(call.layer).every(isKnownCell) ? countPerStep(call) : undefined;
/** As many as each number of the output is a sum of. */
const countContracted: Count = ({ layer, input, output }) => {
  const axes = layer.getConfig()['axes'] as number | readonly [number, number];
  const axis = typeof axes === 'number' ? axes : axes[0];
  return size(output.slice(1)) * (input.at(axis) ?? 1);
};
const countNone: Count = () => 0;

const COUNTED: Readonly<Record<string, Count>> = {
  Dense: countPerOutput,
  Conv1D: countPerOutput,
  Conv2D: countPerOutput,
  Conv3D: countPerOutput,
  SeparableConv2D: countPerOutput,
  DepthwiseConv2D: countDepthwise,
  Conv2DTranspose: countTransposed,
  Conv3DTranspose: countTransposed,
  SimpleRNN: countPerStep,
  GRU: countPerStep,
  LSTM: countPerStep,
  ConvLSTM2D: countConvolvedPerStep,
  RNN: countCells,
  Bidirectional: countCells,
  Dot: countContracted,
};

/** Of the classes of tfjs, those that multiply no matrices: they count 0. */
const WITHOUT_MACS = [
  // They hand on, look up, or lay out anew.
  ...['InputLayer', 'Embedding', 'Flatten', 'Reshape', 'Permute', 'RepeatVector', 'Masking'],
  ...['Concatenate', 'ZeroPadding2D', 'Cropping2D', 'CenterCrop', 'CategoryEncoding'],
  // A few operations for each number, with no weights between numbers.
  ...['Activation', 'ELU', 'LeakyReLU', 'PReLU', 'ReLU', 'Softmax', 'ThresholdedReLU', 'Rescaling'],
  ...['Add', 'Average', 'Maximum', 'Minimum', 'Multiply', 'Dropout', 'SpatialDropout1D'],
  ...['AlphaDropout', 'GaussianDropout', 'GaussianNoise', 'BatchNormalization'],
  'LayerNormalization',
  // Means and maxima of neighbours, and interpolation between them.
  ...['AveragePooling1D', 'AveragePooling2D', 'AveragePooling3D', 'MaxPooling1D', 'MaxPooling2D'],
  ...['MaxPooling3D', 'GlobalAveragePooling1D', 'GlobalAveragePooling2D', 'GlobalMaxPooling1D'],
  ...['GlobalMaxPooling2D', 'UpSampling2D', 'Resizing', 'RandomWidth', 'RandomHeight'],
];

const COUNTS: ReadonlyMap<string, Count> = new Map([
  ...Object.entries(COUNTED),
  ...WITHOUT_MACS.map((className) => [className, countNone] as const),
]);

/**
 * Multiply-accumulate operations per example of one call. Counted: dense, convolutional (transposed,
 * separable, depthwise) and recurrent layers, dot products, whatever TimeDistributed and nested models
 * hold, and layers with a method `macs(inputShape, outputShape)`. Other classes of tfjs (lookups,
 * normalisation, pooling, activations) and the bias count 0. Of any other class they are unknown:
 * `undefined`, and so is a sum with one of them. A dimension of unknown length counts as 1.
 *
 * @param input Shape of the layer's input `[batch, …]`; the batch axis is ignored.
 * @param output Shape of its output.
 * @example
 * countMacs(tf.layers.dense({ units: 10 }), [null, 64], [null, 10]); // 640
 */
export function countMacs(layer: Layer, input: Shape, output: Shape): Macs {
  const own = layer as Layer & Partial<CountsItself>;
  if (typeof own.macs === 'function') return toMacs(own.macs(input, output));
  if (layer instanceof tfl.LayersModel) return countModelMacs(layer);
  const { layer: wrapped } = layer as Layer & { layer?: Layer };
  if (wrapped && layer.getClassName() === 'TimeDistributed') {
    const step = (shape: Shape) => [shape[0]!, ...shape.slice(2)];
    return times(countMacs(wrapped, step(input), step(output)), input[1] ?? 1);
  }
  const kernels = layer.weights.map(({ shape }) => shape).filter((shape) => shape.length > 1);
  return COUNTS.get(layer.getClassName())?.({ layer, kernels, input, output });
}

/** Of every call of a layer together. */
export function countMacsPerCall(layer: Layer, calls: Iterable<tfl.SymbolicTensor>): Macs {
  const byCall = new Map([...calls].map((output) => [output.nodeIndex, output]));
  const each = [...byCall.values()].map(({ inputs, shape }) =>
    inputs.length === 0 ? 0 : countMacs(layer, inputs[0]!.shape, shape),
  );
  return sumMacs(each);
}

/**
 * Multiply-accumulate operations per example up to these layers: what an early exit there costs.
 * A layer that several of them need counts once. `undefined` where the count of a layer is unknown.
 *
 * @throws EspalierError `model/unknown-layer`.
 * @example
 * const share = countMacsTo(view, ['block_2'])! / countMacsTo(view, ['logits'])!;
 */
export function countMacsTo(view: ModelView, layerNames: readonly string[]): Macs {
  return sumMacs(listLayersTo(view, layerNames).map(({ macs }) => macs));
}

/**
 * The layers up to these, themselves included, whose multiply-accumulate operations are unknown: the
 * reason why {@link countMacsTo} is `undefined`.
 *
 * @throws EspalierError `model/unknown-layer`.
 * @example
 * listUncountedLayers(view, ['logits']); // ['my_attention']
 */
export function listUncountedLayers(
  view: ModelView,
  layerNames: readonly string[],
): readonly string[] {
  const uncounted = listLayersTo(view, layerNames).filter(({ macs }) => macs === undefined);
  return uncounted.map(({ name, className }) => `${name} (${className})`);
}

/**
 * The layers that are needed to compute these, themselves included, each once, inputs first.
 *
 * @throws EspalierError `model/unknown-layer`.
 * @example
 * listLayersTo(viewModel(model), ['block_2']).map(({ name }) => name); // ['input', 'block_1', 'block_2']
 */
export function listLayersTo(view: ModelView, layerNames: readonly string[]): readonly LayerInfo[] {
  const layers = new Map(view.layers.map((layer) => [layer.name, layer]));
  const needed = new Set<string>();
  const visit = (name: string): void => {
    if (needed.has(name)) return;
    needed.add(name);
    const layer = layers.get(name);
    if (!layer) throw unknownLayerError(name, [...layers.keys()]);
    layer.inbound.forEach(visit);
  };
  const known = [...layers.keys()];
  layerNames.forEach((name) => visit(canonicalOr(name, known, view.ownNames)));
  return view.layers.filter(({ name }) => needed.has(name));
}

function countModelMacs(model: tfl.LayersModel): Macs {
  return sumMacs([...listCalls(model)].map(([layer, calls]) => countMacsPerCall(layer, calls)));
}

/** A sum with something unknown is unknown. */
function sumMacs(each: readonly Macs[]): Macs {
  return each.reduce((a, b) => (a === undefined || b === undefined ? undefined : a + b), 0);
}

function times(macs: Macs, factor: number): Macs {
  return macs === undefined ? undefined : macs * factor;
}

/** What a method `macs` says, unless that is no count. */
function toMacs(macs: unknown): Macs {
  return typeof macs === 'number' && Number.isFinite(macs) && macs >= 0 ? macs : undefined;
}

const KNOWN_CELLS = ['SimpleRNNCell', 'GRUCell', 'LSTMCell'];

function isKnownCell(cell: Layer | undefined): boolean {
  return cell !== undefined && KNOWN_CELLS.includes(cell.getClassName());
}

/** The cells of an RNN, or of the two of a Bidirectional. */
function listCells(layer: Layer): readonly (Layer | undefined)[] {
  const { cell, cells, forwardLayer, backwardLayer } = layer as unknown as Partial<
    Readonly<Record<string, Layer>>
  > & { readonly cells?: readonly Layer[] };
  if (forwardLayer) return [forwardLayer, backwardLayer!].flatMap(listCells);
  if (cells) return cells;
  return cell
    ? cell.getClassName() === 'StackedRNNCells'
      ? listCells(cell)
      : [cell]
    : [undefined];
}

function size(shape: Shape): number {
  return shape.reduce<number>((product, length) => product * (length ?? 1), 1);
}

function volume(kernels: readonly Shape[]): number {
  return kernels.map(size).reduce((a, b) => a + b, 0);
}
