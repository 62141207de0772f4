import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import type { SwappedActivation } from '../run/without-activations.js';
import { listCalls, layerPaths } from '../weights/parameters.js';
import type { Layer } from '../weights/parameters.js';

/** What an output of a model is. */
export interface Head {
  /** Path of the layer that decides it. */
  readonly layer: string;
  /**
   * `probabilities`: numbers from 0 to 1; `values`: any others, e.g. logits; `unknown`: it comes from a
   * layer of one's own, or straight from an input.
   */
  readonly gives: 'probabilities' | 'values' | 'unknown';
  /**
   * The activation that makes the output, by tfjs's name; absent where the output is no longer what it
   * made (pooled, averaged, with classes on another axis).
   */
  readonly activation?: string;
  /** Whether the network can be run without that softmax or sigmoid; see `ExecuteOptions.logits`. */
  readonly hasLogits: boolean;
}

/** A head, and what to swap to get its logits. */
export interface TracedHead extends Head {
  readonly ends: readonly SwappedActivation[];
}

/**
 * A layer of one's own may say that the last thing it does is `this.activation.apply(…)`: then a
 * network can run it without.
 */
export interface EndsInActivation {
  /** Whether the layer applies `activation` last. */
  readonly endsInActivation: true;
  /** The activation that it applies. */
  activation: { apply(x: Tensor): Tensor; getClassName(): string };
}

/** What a tensor of a graph is, and the calls whose activation made it. */
interface Found {
  readonly layer: Layer;
  readonly gives: Head['gives'];
  readonly activation?: string;
  /** Absent: the logits cannot be computed. */
  readonly ends?: readonly SwappedActivation[];
}

/** Layers of tfjs whose last operation is their activation. */
const ENDING = new Set([
  'Activation',
  'Conv1D',
  'Conv2D',
  'Conv2DTranspose',
  'Conv3D',
  'Conv3DTranspose',
  'Dense',
  'DepthwiseConv2D',
  'EinsumDense',
  'SeparableConv2D',
]);
/** Layers whose state, not only whose output, went through the activation. */
const RECURRENT = new Set(['Bidirectional', 'ConvLSTM2D', 'GRU', 'LSTM', 'SimpleRNN']);
/** Layers that move numbers and change none. */
const MOVING = new Set([
  'Concatenate',
  'Cropping2D',
  'Flatten',
  'Permute',
  'RepeatVector',
  'Reshape',
]);
/** Layers whose numbers lie between those that they are given, at inference. */
const BETWEEN =
  /^(Alpha|Gaussian|Spatial)?Dropout(1D)?$|^GaussianNoise$|Pooling\dD$|^(UpSampling|ZeroPadding)2D$|^(Average|Maximum|Minimum|Multiply|Masking)$/;
/** Layers whose numbers may be any. */
const OTHERS =
  /^(Add|Dot|BatchNormalization|LayerNormalization|Embedding|ReLU|LeakyReLU|PReLU|ELU|ThresholdedReLU)$/;
const SQUASHING = new Set(['softmax', 'sigmoid', 'hardSigmoid']);
/** Those that a network can do without: what is before them are logits. */
const UNDONE = new Set(['softmax', 'sigmoid']);

/** What each output of a model is, in the order of its outputs. */
export function traceHeads(model: LayersModel): readonly TracedHead[] {
  const paths = new Map(layerPaths(model));
  return model.outputs.map((output) => {
    const { layer, ends, ...found } = traceOutput(output, model);
    const path = paths.get(layer) ?? layer.name;
    return { ...found, layer: path, hasLogits: ends !== undefined, ends: ends ?? [] };
  });
}

/** What an output of a model is; its logits can be had only where nothing else needs what it made. */
function traceOutput(output: SymbolicTensor, model: LayersModel): Found {
  const chain = new Set<SymbolicTensor>();
  const { ends, ...found } = trace(output, chain);
  return { ...found, ...(ends && isOnlyOutput(model, chain) && { ends }) };
}

function trace(output: SymbolicTensor, chain: Set<SymbolicTensor>): Found {
  const layer = output.sourceLayer;
  chain.add(output);
  if (layer instanceof tfl.LayersModel) {
    return traceOutput(layer.outputs[outputIndex(output)]!, layer);
  }
  if (!passesOn(layer)) return traceLayer(layer, output.shape.length);
  const inputs = output.inputs.map((input) => trace(input, chain));
  return tracePassedOn(output, inputs);
}

function passesOn(layer: Layer): boolean {
  const name = layer.getClassName();
  const linear = name === 'Activation' && readActivation(layer) === 'linear';
  return linear || MOVING.has(name) || BETWEEN.test(name);
}

/** What a layer makes of probabilities, without looking at its inputs. */
function traceLayer(layer: Layer, rank: number): Found {
  const name = layer.getClassName();
  if (name === 'TimeDistributed') return { ...traceWrapped(layer, rank), layer };
  if (name === 'Softmax') return traceSoftmax(layer, rank);
  if (RECURRENT.has(name)) return traceRecurrent(layer);
  if (!endsInActivation(layer)) return { layer, gives: OTHERS.test(name) ? 'values' : 'unknown' };
  const activation = readActivation(layer);
  if (!SQUASHING.has(activation)) return { layer, gives: 'values', activation };
  const ends = [{ layer, field: 'activation' } as const];
  return { layer, gives: 'probabilities', activation, ...(UNDONE.has(activation) && { ends }) };
}

function traceWrapped(wrapper: Layer, rank: number): Found {
  const { layer } = wrapper as Layer & { layer: Layer };
  if (layer instanceof tfl.LayersModel) return traceOutput(layer.outputs[0]!, layer);
  return passesOn(layer) ? { layer, gives: 'unknown' } : traceLayer(layer, rank - 1);
}

function traceRecurrent(layer: Layer): Found {
  const squashed = SQUASHING.has(findActivation(layer.getConfig()));
  return { layer, gives: squashed ? 'probabilities' : 'values' };
}

/** Over another axis than the last, or several at once, it is no distribution over classes. */
function traceSoftmax(layer: Layer, rank: number): Found {
  const { axis } = layer as Layer & { axis: number | number[] };
  const axes = [axis].flat();
  const last = axes.length === 1 && (axes[0] === -1 || axes[0] === rank - 1);
  if (!last) return { layer, gives: 'probabilities' };
  const ends = [{ layer, field: 'softmax' } as const];
  return { layer, gives: 'probabilities', activation: 'softmax', ends };
}

function tracePassedOn(output: SymbolicTensor, inputs: readonly Found[]): Found {
  const layer = output.sourceLayer;
  const [first] = inputs as [Found];
  const odd = inputs.find(({ gives }) => gives !== 'probabilities');
  if (odd) return inputs.length === 1 ? odd : { layer, gives: odd.gives };
  const alike = inputs.every(({ activation }) => activation === first.activation);
  const { activation } = first;
  const same = alike && activation !== undefined && keepsMeaning(output, activation);
  if (!same) return { layer, gives: 'probabilities' };
  const ends = inputs.flatMap((each) => each.ends ?? []);
  const all = inputs.every((each) => each.ends);
  return { layer: first.layer, gives: 'probabilities', activation, ...(all && { ends }) };
}

/** Whether each number is still the sigmoid of one logit, or each last axis a softmax. */
function keepsMeaning(output: SymbolicTensor, activation: string): boolean {
  const layer = output.sourceLayer;
  if (BETWEEN.test(layer.getClassName())) return false;
  if (activation !== 'softmax') return true;
  if (layer.getClassName() === 'Permute') {
    return (layer.getConfig()['dims'] as number[]).at(-1) === output.shape.length - 1;
  }
  return output.inputs.every(({ shape }) => shape.at(-1) === output.shape.at(-1));
}

/**
 * Whether nothing is made of the tensors from an activation to an output but that output, in every
 * call of the layer, so that running it without changes no other output.
 */
function isOnlyOutput(model: LayersModel, chain: ReadonlySet<SymbolicTensor>): boolean {
  const calls = [...listCalls(model).values()].flatMap((each) => [...each]);
  const others = calls.filter((call) => !chain.has(call));
  const isUsed = (symbol: SymbolicTensor) => others.some(({ inputs }) => inputs.includes(symbol));
  const starts = [...chain].filter(({ sourceLayer }) => !passesOn(sourceLayer));
  const isAlike = (call: SymbolicTensor) =>
    starts.some(
      (start) => call.sourceLayer === start.sourceLayer && outputIndex(call) === outputIndex(start),
    );
  const isLast = (call: SymbolicTensor) => model.outputs.includes(call) && !isUsed(call);
  return ![...chain].some(isUsed) && others.filter(isAlike).every(isLast);
}

function outputIndex({ outputTensorIndex }: SymbolicTensor): number {
  return outputTensorIndex ?? 0;
}

function endsInActivation(layer: Layer): boolean {
  const own = (layer as Layer & Partial<EndsInActivation>).endsInActivation === true;
  return own || ENDING.has(layer.getClassName());
}

/** The name of a layer's activation; some layers have none where it is linear. */
function readActivation(layer: Layer): string {
  return (layer as Layer & Partial<EndsInActivation>).activation?.getClassName() ?? 'linear';
}

/** The activation that a recurrent layer's configuration names, its own or that of what it wraps. */
function findActivation(config: unknown): string {
  const { activation, layer } = config as { activation?: string; layer?: { config?: unknown } };
  return layer ? findActivation(layer.config) : String(activation);
}
