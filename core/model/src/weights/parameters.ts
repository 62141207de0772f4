import { EspalierError, twoCopiesError } from '@espalier/base';
import type { Variable } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, LayerVariable, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { canonicalise, numberDuplicates, withoutOwner } from '../graph/names.js';
import { refuseForeignLayer } from './foreign.js';

export type Layer = tfl.layers.Layer;

/** One weight of a model. */
export interface Parameter {
  /**
   * `<layer>/<weight>`, `<outer>/<layer>/<weight>` inside a nested model: equal in every build of the
   * same code, unlike the runtime name. Weights of equal name in one layer (two cells, two
   * directions) are `kernel`, `kernel#2` in order of creation.
   */
  readonly path: string;
  /** The variable of TensorFlow.js. */
  readonly variable: LayerVariable;
  /** Whether the optimizer changes it. */
  readonly trainable: boolean;
  /** Its shape. */
  readonly shape: readonly number[];
}

/**
 * The same layers as a functional model: the chain of a Sequential becomes a graph with its input
 * layer. It owns no weights and must not be disposed.
 */
export function functional(model: LayersModel): LayersModel {
  if (!(model instanceof tfl.LayersModel)) {
    if (isModelLike(model)) throw twoCopiesError('the model');
    throw new EspalierError('model/foreign', {
      problem: 'this is not a LayersModel',
      received: model,
      fix: 'Pass a tf.model or tf.sequential.',
    });
  }
  if (model.outputs.length === 0) {
    throw new EspalierError('model/empty', { problem: 'the model has no layers' });
  }
  model.layers.forEach(refuseForeignLayer);
  return tfl.model({ inputs: model.inputs, outputs: model.outputs, name: model.name });
}

/** Whether it would be a model, were it of this copy of tfjs-layers. */
export function isModelLike(model: unknown): boolean {
  return typeof (model as { predict?: unknown } | undefined)?.predict === 'function';
}

/**
 * The model's layers, inputs first, then in topological order, each with its canonical name.
 *
 * @example
 * [...canonicalNames(model).values()]; // ['input', 'dense_1', 'dense_2']
 */
export function canonicalNames(model: LayersModel): Map<Layer, string> {
  const view = functional(model);
  const layers = [...new Set([...view.inputs.map((input) => input.sourceLayer), ...view.layers])];
  const own = withoutOwner(
    layers.map(({ name }) => name),
    model.name,
  );
  const names = canonicalise(
    layers.map((layer, i) => ({ name: own[i]!, className: layer.getClassName() })),
  );
  return new Map(layers.map((layer, i) => [layer, names[i]!]));
}

/** All layers by path, those inside nested models included. */
export function layerPaths(model: LayersModel, prefix = ''): (readonly [Layer, string])[] {
  return [...canonicalNames(model)].flatMap(([layer, name]) => {
    const inner = layer instanceof tfl.LayersModel ? layerPaths(layer, `${prefix}${name}/`) : [];
    return [[layer, prefix + name] as const, ...inner];
  });
}

/** The symbolic outputs of every layer that the model's outputs depend on, one for each call. */
export function listCalls(model: LayersModel): Map<Layer, Set<SymbolicTensor>> {
  const calls = new Map<Layer, Set<SymbolicTensor>>();
  const visit = (output: SymbolicTensor): void => {
    const known = calls.get(output.sourceLayer) ?? new Set();
    if (known.has(output)) return;
    calls.set(output.sourceLayer, known.add(output));
    output.inputs.forEach(visit);
  };
  [...model.inputs, ...model.outputs].forEach(visit);
  return calls;
}

/** One layer's parameters under a path; a model's if the layer is one. */
export function listLayerParameters(layer: Layer, path: string): readonly Parameter[] {
  if (layer instanceof tfl.LayersModel) return listParameters(layer, `${path}/`);
  // By age: the order of `layer.weights` changes when something is frozen.
  const variables = [...layer.weights].sort((a, b) => a.id - b.id);
  const names = numberDuplicates(
    variables.map(({ originalName }) => originalName.split('/').at(-1)!),
  );
  return variables.map((variable, i) => ({
    path: `${path}/${names[i]}`,
    variable,
    trainable: layer.trainableWeights.includes(variable),
    shape: variable.shape as number[],
  }));
}

/**
 * Every weight of a model once, by stable path.
 *
 * @throws EspalierError `model/disposed`.
 * @example
 * listParameters(model).map(({ path }) => path); // ['dense_1/kernel', 'dense_1/bias']
 */
export function listParameters(model: LayersModel, prefix = ''): readonly Parameter[] {
  refuseDisposed(model);
  const trainable = new Set(model.trainableWeights);
  const found = new Map<LayerVariable, Parameter>();
  for (const [layer, name] of canonicalNames(model)) {
    for (const parameter of listLayerParameters(layer, prefix + name)) {
      const { variable } = parameter;
      if (found.has(variable)) continue;
      found.set(variable, { ...parameter, trainable: trainable.has(variable) });
    }
  }
  return [...found.values()];
}

/** The variable of tfjs-core behind a weight, disposed or not. */
export function innerVariable(weight: LayerVariable): Variable {
  return (weight as unknown as { readonly val: Variable }).val;
}

function refuseDisposed(model: LayersModel): void {
  const dead = model.weights.find((weight) => innerVariable(weight).isDisposed);
  if (!dead) return;
  throw new EspalierError('model/disposed', {
    problem: `the model's weight '${dead.originalName}' is disposed already`,
    fix: 'A run disposes what its function model makes: make a new model in each call; one that must outlive the run is made before createSession.',
  });
}
