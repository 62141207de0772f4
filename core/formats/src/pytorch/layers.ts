import { EspalierError, suggest } from '@espalier/base';
import { toTensor } from '@espalier/checkpoint';
import type { HostTensor } from '@espalier/checkpoint';
import { orUndo } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { Shape } from '@tensorflow/tfjs-layers';
import { isFloat } from '../float32.js';
import { ResetAfterGRU } from '../reset-after-gru.js';
import { nameLayers } from './layer-names.js';
import { join, pytorchModules } from './modules.js';
import type {
  PyTorchModule,
  PyTorchModulesOptions,
  PyTorchRecurrent,
  StateDict,
} from './modules.js';
import { pytorchWeights } from './weights.js';
import type { LayerWeights } from './weights.js';

/** Drawn in vain whenever a model is rebuilt with its weights; an orthogonal one takes seconds. */
const DRAWN = 'glorotUniform';

/** Options of {@link pytorchLayers}. */
export interface PyTorchLayersOptions extends PyTorchModulesOptions {
  /** Whether the last recurrent layer gives every step (default) or its last one only. */
  readonly returnSequences?: boolean;
}

interface Placed {
  /** Whether the layer is a model's first, which has to know its input shape. */
  readonly isFirst: boolean;
  readonly returnSequences: boolean;
}

/**
 * Layers with the weights of PyTorch modules, ready for a model. A state dict does not say in which
 * order a network applies its modules, nor what stands between them: name the modules in order, and
 * put activations where they belong. Layers are called as the modules, those of a recurrent one of
 * several layers `name_l0`, `name_l1`, …; what TensorFlow.js takes in no name becomes `_`. They are
 * batch-first.
 *
 * @throws EspalierError `pytorch/order` on a name that no module has, or a module that cannot follow
 * the one before; and what {@link pytorchModules} throws.
 * @example
 * const model = tfl.sequential({ layers: pytorchLayers(state, ['embedding', 'lstm', 'softmax']) });
 */
export function pytorchLayers(
  state: StateDict,
  order: readonly string[],
  { kinds, returnSequences = true }: PyTorchLayersOptions = {},
): tfl.layers.Layer[] {
  const modules = sortModules(state, pytorchModules(state, { kinds }).modules, order);
  const lastRecurrent = modules.findLastIndex(isRecurrent);
  const create = (module: PyTorchModule, i: number) => {
    const weights = pytorchWeights(state, module);
    const sequences = returnSequences || i !== lastRecurrent;
    return weights.map((each, k) => {
      const isLast = k === weights.length - 1;
      const placed = { isFirst: i + k === 0, returnSequences: sequences || !isLast };
      return createLayer(module, k, each, placed);
    });
  };
  return orUndo(() => modules.flatMap(create));
}

function createLayer(
  module: PyTorchModule,
  k: number,
  weights: LayerWeights,
  { isFirst, returnSequences }: Placed,
): tfl.layers.Layer {
  const name = nameLayers(module)[k]!;
  if (module.kind === 'embedding') {
    const { rows: inputDim, columns: outputDim } = module;
    return withWeights(tfl.layers.embedding({ name, inputDim, outputDim }), [null, null], weights);
  }
  const { kind, bias: useBias } = module;
  if (kind === 'linear' || kind === 'conv1d') {
    const { inputs, outputs: units } = module;
    const shape = isFirst ? { inputShape: [inputs] } : {};
    return withWeights(
      tfl.layers.dense({ name, units, useBias, ...shape }),
      [null, inputs],
      weights,
    );
  }
  const args = {
    name,
    units: module.hiddenSize,
    useBias,
    returnSequences,
    ...(isFirst && { inputShape: [null, module.inputSize] }),
  };
  const layer =
    kind === 'lstm'
      ? tfl.layers.lstm({ ...args, recurrentActivation: 'sigmoid', recurrentInitializer: DRAWN })
      : new ResetAfterGRU(args);
  const inputs = k === 0 ? module.inputSize : module.hiddenSize;
  return withWeights(layer, [null, null, inputs], weights);
}

/** Builds a layer without drawing initial weights. */
function withWeights<T extends tfl.layers.Layer>(
  layer: T,
  inputShape: Shape,
  weights: LayerWeights,
): T {
  layer.setFastWeightInitDuringBuild(true);
  layer.build(inputShape);
  layer.built = true;
  tf.tidy(() => layer.setWeights(Object.values(weights).map(toTensor)));
  return layer;
}

function sortModules(
  state: StateDict,
  modules: readonly PyTorchModule[],
  order: readonly string[],
): PyTorchModule[] {
  const names = modules.map(({ name }) => name);
  const ordered = order.map((name) => {
    const module = modules[names.indexOf(name)];
    if (module) return module;
    const weight = state.get(join(name, 'weight'));
    if (weight) throw notReadError(name, weight);
    throw new EspalierError('pytorch/order', {
      problem: `the state dict has no module '${name}' of a kind that is read`,
      fix: suggest(name, names),
    });
  });
  for (const [i, module] of ordered.slice(1).entries()) checkFollows(ordered[i]!, module);
  return ordered;
}

function notReadError(name: string, weight: HostTensor): EspalierError {
  return new EspalierError('pytorch/order', {
    problem: `'${name}' is of no kind that is read`,
    received: `${weight.dtype} [${weight.shape.join(', ')}]`,
    fix: isFloat(weight)
      ? `If it is one, say which: { kinds: { '${name}': 'linear' } }; 'conv1d' is that of GPT-2.`
      : 'Its weights are codes: decode them with the tool that wrote them, and save floats.',
  });
}

function checkFollows(before: PyTorchModule, module: PyTorchModule): void {
  const [given, taken] = [countOutputs(before), countInputs(module)];
  if (given === taken) return;
  throw new EspalierError('pytorch/order', {
    problem: `'${module.name}' takes ${taken ?? 'ids, not'} features and follows '${before.name}', which gives ${given}`,
    fix: 'Name the modules in the order in which the network applies them.',
  });
}

function countInputs(module: PyTorchModule): number | undefined {
  if (module.kind === 'embedding') return undefined;
  return isRecurrent(module) ? module.inputSize : module.inputs;
}

function countOutputs(module: PyTorchModule): number {
  if (module.kind === 'embedding') return module.columns;
  return isRecurrent(module) ? module.hiddenSize : module.outputs;
}

function isRecurrent(module: PyTorchModule): module is PyTorchRecurrent {
  return module.kind === 'lstm' || module.kind === 'gru';
}
