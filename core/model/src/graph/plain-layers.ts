import { EspalierError } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { canonicalNames, layerPaths } from '../weights/parameters.js';
import type { Layer } from '../weights/parameters.js';
import { buildModel } from './build.js';
import { extractGraph } from './graph.js';
import type { LayerEntry, ModelGraph } from './graph.js';

/** A layer of TensorFlow.js, as data. */
export interface PlainLayer {
  /** Class of TensorFlow.js. */
  readonly className: string;
  /** Its configuration. */
  readonly config: Readonly<Record<string, unknown>>;
  /** By name, as `kernel`; the layer's own tensors, or made in the caller's `tf.tidy`. */
  readonly weights: NamedTensors;
  /** How many of its inputs it has; default: all. */
  readonly inputs?: number;
}

/** A layer class of one's own that knows a layer of TensorFlow.js which computes the same. */
export interface HasPlainLayer {
  /**
   * That layer, its numbers decoded. Called inside `tf.tidy`, once this one is built; `sources` are
   * the layers that give its inputs.
   */
  plainLayer(sources: readonly Layer[]): PlainLayer;
}

/**
 * The model with layers of TensorFlow.js in place of those that know one ({@link HasPlainLayer}): it has
 * decoded matrices and the same layer names. The caller owns it.
 *
 * @throws EspalierError `model/compressed-inside` for such a layer inside a nested model.
 * @example
 * await plainModel(compressed).save('downloads://model');
 */
export function plainModel(model: LayersModel): LayersModel {
  let plain!: LayersModel;
  tf.tidy(() => void (plain = buildModel(plainGraph(model))));
  return plain;
}

/**
 * The layers whose classes TensorFlow.js does not have, by path. Whoever loads the model must register them.
 *
 * @example
 * unplainLayers(model); // [{ path: 'logits', className: 'StoredDense' }]
 */
export function unplainLayers(model: LayersModel): { path: string; className: string }[] {
  return layerPaths(model)
    .map(([layer, path]) => ({ path, className: layer.getClassName() }))
    .filter(({ className }) => !isPlainClass(className));
}

/**
 * Whether TensorFlow.js has a layer class of this name.
 *
 * @example
 * isPlainClass('Dense'); // true
 * isPlainClass('StoredDense'); // false
 */
export function isPlainClass(className: string): boolean {
  return PLAIN_CLASSES.has(className);
}

type Config = LayerEntry['config'];

function plainGraph(model: LayersModel): ModelGraph {
  const { topology, weights } = extractGraph(model);
  const byName = new Map([...canonicalNames(model)].map(([layer, name]) => [name, layer]));
  refuseInside(model, byName);
  let rest: NamedTensors = weights;
  const layers = topology.config.layers.map((entry): LayerEntry => {
    const layer = byName.get(entry.name)!;
    if (!hasPlainLayer(layer)) return entry;
    const [call = []] = entry.inboundNodes;
    const plain = layer.plainLayer(call.map(([source]) => byName.get(source)!));
    rest = { ...replaceEntry(rest, entry.name), ...prefixPaths(plain.weights, entry.name) };
    // Of what makes an input layer there is one in the graph.
    const config = { ...plain.config, batchInputShape: undefined, dtype: undefined };
    return {
      name: entry.name,
      className: plain.className,
      config: JSON.parse(JSON.stringify({ ...config, name: entry.name })) as Config,
      inboundNodes: entry.inboundNodes.map((each) => each.slice(0, plain.inputs)),
    };
  });
  const frozen = topology.frozen.filter((path) => path in rest || !(path in weights));
  return {
    topology: { ...topology, config: { ...topology.config, layers }, frozen },
    weights: rest,
  };
}

function hasPlainLayer(layer: Layer): layer is Layer & HasPlainLayer {
  return typeof (layer as Partial<HasPlainLayer>).plainLayer === 'function';
}

function refuseInside(model: LayersModel, outer: ReadonlyMap<string, Layer>): void {
  const inside = layerPaths(model).find(
    ([layer, path]) => hasPlainLayer(layer) && outer.get(path) !== layer,
  );
  if (!inside) return;
  throw new EspalierError('model/compressed-inside', {
    problem: `layer '${inside[1]}' is inside a nested model, where it cannot be decoded`,
    fix: 'Export the nested model by itself, or build the model flat.',
  });
}

function replaceEntry(weights: NamedTensors, layer: string): NamedTensors {
  const kept = Object.entries(weights).filter(([path]) => !path.startsWith(`${layer}/`));
  return Object.fromEntries(kept);
}

function prefixPaths(weights: NamedTensors, layer: string): NamedTensors {
  const named = Object.entries(weights).map(([name, value]) => [`${layer}/${name}`, value]);
  return Object.fromEntries(named) as NamedTensors;
}

/** Every layer class of @tensorflow/tfjs-layers 4.22, and its containers. */
const PLAIN_CLASSES: ReadonlySet<string> = new Set(
  `InputLayer Model Functional Sequential ReLU LeakyReLU PReLU ELU ThresholdedReLU Softmax Conv1D Conv2D
  Conv3D Conv2DTranspose Conv3DTranspose SeparableConv2D DepthwiseConv2D Cropping2D UpSampling2D RNN
  SimpleRNNCell SimpleRNN GRUCell GRU LSTMCell LSTM StackedRNNCells ConvLSTM2DCell ConvLSTM2D Dropout
  SpatialDropout1D Dense Flatten Activation RepeatVector Reshape Permute Masking Embedding Add Multiply
  Average Maximum Minimum Concatenate Dot GaussianNoise GaussianDropout AlphaDropout BatchNormalization
  LayerNormalization ZeroPadding2D MaxPooling1D AveragePooling1D MaxPooling2D AveragePooling2D MaxPooling3D
  AveragePooling3D GlobalAveragePooling1D GlobalMaxPooling1D GlobalAveragePooling2D GlobalMaxPooling2D
  TimeDistributed Bidirectional Rescaling CenterCrop CategoryEncoding Resizing RandomWidth`.split(
    /\s+/,
  ),
);
