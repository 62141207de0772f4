import type { LayersModel } from '@tensorflow/tfjs-layers';
import { extractGraph } from '../graph/graph.js';
import type { ModelGraph } from '../graph/graph.js';
import type { OwnNames } from '../graph/names.js';
import { listOwnNames } from '../graph/own-names.js';
import { outputNames } from '../run/network.js';
import { listCalls, canonicalNames } from '../weights/parameters.js';
import { countMacsPerCall } from './macs.js';
import type { Macs } from './macs.js';

/** One layer as plugins and people see it. */
export interface LayerInfo {
  /** Canonical name. */
  readonly name: string;
  /** Class, as registered. */
  readonly className: string;
  /** Without the batch dimension; of the first output, for a layer with several. */
  readonly outputShape: readonly (number | null)[];
  /** The layers whose outputs it takes. */
  readonly inbound: readonly string[];
  /** Number of scalars in its weights. */
  readonly parameters: number;
  /**
   * Multiply-accumulate operations per example, in all calls of a shared layer; `undefined` where they
   * are unknown; see `countMacs`.
   */
  readonly macs: Macs;
}

/** Read-only view of a model. */
export interface ModelView {
  /** Inputs first, then in topological order. A nested model is one layer. */
  readonly layers: readonly LayerInfo[];
  /** Names of the model's inputs, in its order. */
  readonly inputNames: readonly string[];
  /** All outputs, added ones included. */
  readonly outputNames: readonly string[];
  /** By output, batch first. */
  readonly outputShapes: Readonly<Record<string, readonly (number | null)[]>>;
  /** The outputs of the user's own model. */
  readonly ownOutputs: readonly string[];
  /**
   * Canonical names by those that layers and outputs have in the user's own model, where the two differ; see
   * `toCanonicalName`.
   */
  readonly ownNames: OwnNames;
  /** Made when asked for, since it refuses unregistered layers. */
  readonly graph: ModelGraph;
  /** The model itself; do not change it. */
  readonly layersModel: LayersModel;
}

/** What a view tells that the model itself does not. */
export interface ViewOptions {
  /** The outputs that the user's model had before any edit; default all. */
  readonly ownOutputs?: readonly string[];
  /** The names that layers had in the user's model before any edit; default those of this model. */
  readonly ownNames?: OwnNames;
  /** Gives the graph; default {@link extractGraph}. */
  readonly extract?: () => ModelGraph;
}

/**
 * A read-only view of a model.
 *
 * @example
 * viewModel(model).layers.map(({ name, outputShape }) => [name, outputShape]);
 */
export function viewModel(
  model: LayersModel,
  {
    ownOutputs,
    ownNames = listOwnNames(model),
    extract = () => ({ ...extractGraph(model), ownNames }),
  }: ViewOptions = {},
): ModelView {
  const names = canonicalNames(model);
  const calls = listCalls(model);
  const layers = [...names].map(([layer, name]): LayerInfo => {
    const outputs = [...calls.get(layer)!];
    const sources = outputs.flatMap(({ inputs }) => inputs.map((input) => input.sourceLayer));
    return {
      name,
      className: layer.getClassName(),
      outputShape: outputs[0]!.shape.slice(1),
      inbound: [...new Set(sources.map((source) => names.get(source)!))],
      parameters: layer.countParams(),
      macs: countMacsPerCall(layer, outputs),
    };
  });
  const outputs = outputNames(model, names);
  return {
    layers,
    inputNames: model.inputs.map((input) => names.get(input.sourceLayer)!),
    outputNames: outputs,
    outputShapes: Object.fromEntries(outputs.map((name, i) => [name, model.outputs[i]!.shape])),
    ownOutputs: ownOutputs ?? outputs,
    ownNames,
    get graph() {
      return extract();
    },
    layersModel: model,
  };
}
