import type { NamedTensors } from '@espalier/base';
import { copyJson, EspalierError, isPlain } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import './complete-configs.js';
import { refuseForeignLayer } from '../weights/foreign.js';
import { canonicalNames, functional, layerPaths, listParameters } from '../weights/parameters.js';
import type { Layer } from '../weights/parameters.js';
import { automaticStem } from './names.js';
import type { OwnNames } from './names.js';
import { canonicaliseInside } from './nested-names.js';
import { listOwnNames } from './own-names.js';

/** A layer's output: its name, which of its calls, which of that call's outputs. */
export type OutputRef = readonly [layer: string, call: number, output: number, kwargs?: object];

/** A layer and, for each of its calls, where the inputs come from. */
export interface LayerEntry {
  /** Canonical name. */
  readonly name: string;
  /** Class, as registered. */
  readonly className: string;
  /** Its configuration. */
  readonly config: Readonly<Record<string, unknown>>;
  /** For each call of the layer, its inputs, as tfjs writes them. */
  readonly inboundNodes: readonly (readonly OutputRef[])[];
}

/** What `LayersModel.getConfig` gives, with canonical names. */
export interface GraphConfig {
  /** Name of the model. */
  readonly name: string;
  /** Its layers, inputs first. */
  readonly layers: readonly LayerEntry[];
  /** Inputs: layer, call, tensor. */
  readonly inputLayers: readonly OutputRef[];
  /** Outputs: layer, call, tensor. */
  readonly outputLayers: readonly OutputRef[];
}

/** A functional model as plain JSON. */
export type Topology = {
  readonly className: 'Model';
  readonly config: GraphConfig;
  /**
   * Paths of weights that no gradient trains (frozen ones and moving statistics), and of nested models
   * that are frozen as a whole.
   */
  readonly frozen: readonly string[];
};

/**
 * A model as data. A graph borrows its tensors: it neither copies nor disposes them, and
 * `buildModel` copies. Who makes a tensor for an edit disposes it after building.
 */
export interface ModelGraph {
  /** Layers and connections, as plain data. */
  readonly topology: Topology;
  /** By path `<layer>/<weight>`; a weight that is absent gets its initial value. */
  readonly weights: NamedTensors;
  /** Other names that edits take for layers: those of the user's own model. */
  readonly ownNames?: OwnNames;
}

/** A pure function from model to model. */
export type ModelEdit = (graph: ModelGraph) => ModelGraph;

/**
 * A model as data: topology with canonical names, and its live weights (not copies). Sequential
 * models, nested ones too, become functional.
 *
 * @throws EspalierError `model/unregistered-layer`, `model/shared-across`.
 * @example
 * const { topology, weights } = extractGraph(model);
 * const twin = buildModel({ topology: JSON.parse(JSON.stringify(topology)), weights });
 */
export function extractGraph(model: LayersModel): ModelGraph {
  const config = readConfig(model);
  checkRegistered(config);
  refuseSharedAcross(model);
  const parameters = listParameters(model);
  const frozen = parameters.filter(({ trainable }) => !trainable).map(({ path }) => path);
  const models = layerPaths(model).filter(
    ([layer]) => layer instanceof tfl.LayersModel && !layer.trainable,
  );
  frozen.push(...models.map(([, path]) => path));
  const weights = parameters.map(({ path, variable }) => [path, variable.read()]);
  return {
    topology: { className: 'Model', config, frozen },
    weights: Object.fromEntries(weights),
    ownNames: listOwnNames(model),
  };
}

/**
 * A layer as plain data, under a name; NaN and infinities in its configuration stay.
 *
 * @throws EspalierError `json/not-json` where its configuration holds what would be lost.
 */
export function describeLayer(layer: Layer, name: string): Omit<LayerEntry, 'inboundNodes'> {
  refuseForeignLayer(layer);
  const nested = layer instanceof tfl.LayersModel;
  const className = nested ? 'Model' : (layer.getClassName() ?? layer.constructor.name);
  const config = nested
    ? readConfig(layer)
    : (withoutAutomaticNames(canonicaliseInside(layer.getConfig(), layer.name)) as object);
  // What a Sequential would make an input layer from: here there is one.
  const made = className !== 'InputLayer' && 'batchInputShape' in config;
  const { batchInputShape: shape } = config as { readonly batchInputShape?: unknown[] };
  const own = {
    ...config,
    ...(shape && { batchInputShape: shape.map((size) => size ?? null) }), // either leaves it open
    ...(made && { batchInputShape: undefined, dtype: undefined }),
    name,
  };
  return copyJson({ name, className, config: own }, name) as Omit<LayerEntry, 'inboundNodes'>;
}

/** tfjs counts a nested model's calls from 1: its call 0 is the one that defines it. */
export function firstCall({ config }: Pick<LayerEntry, 'config'>): 0 | 1 {
  return 'outputLayers' in config ? 1 : 0;
}

/** Refuses layers of classes that nobody could make again from data. */
export function checkRegistered(config: GraphConfig): void {
  const known = tf.serialization.SerializationMap.getMap().classNameMap;
  for (const entry of config.layers) {
    const unknown = listClassNames(entry).find((className) => !(className in known));
    if (unknown === undefined) continue;
    throw new EspalierError('model/unregistered-layer', {
      problem: `layer '${entry.name}' needs the class '${unknown}', which is not registered, so the model could not be built again`,
      fix: `Give the class a \`static className\` and call tf.serialization.registerClass(${unknown}).`,
    });
  }
}

/**
 * The layer that a weight path belongs to; names may hold slashes, so the longest match wins.
 *
 * @example
 * findOwner(graph.topology.config, 'encoder/dense_1/kernel'); // 'encoder'
 */
export function findOwner(config: GraphConfig, path: string): string | undefined {
  const owners = config.layers
    .map(({ name }) => name)
    .filter((name) => path.startsWith(`${name}/`));
  return owners.sort((a, b) => a.length - b.length).at(-1);
}

/** JSON keeps the sharing of a layer within one model only. */
function refuseSharedAcross(model: LayersModel): void {
  const seen = new Map<Layer, string>();
  for (const [layer, path] of layerPaths(model)) {
    const first = seen.get(layer);
    if (first !== undefined && layer.weights.length > 0) {
      throw new EspalierError('model/shared-across', {
        problem: `'${first}' and '${path}' are one layer, shared between models`,
        fix: 'Share it within one model, or make two layers.',
      });
    }
    seen.set(layer, path);
  }
}

function readConfig(model: LayersModel): GraphConfig {
  const view = functional(model);
  const config = view.getConfig() as unknown as GraphConfig;
  const names = canonicalNames(model);
  const byOldName = new Map(view.layers.map((layer) => [layer.name, names.get(layer)!]));
  const renameRef = ([old, ...rest]: OutputRef): OutputRef => [byOldName.get(old)!, ...rest];
  return {
    name: automaticStem({ name: model.name, className: model.getClassName() }) ?? model.name,
    layers: config.layers.map(({ inboundNodes }, i) => ({
      ...describeLayer(view.layers[i]!, names.get(view.layers[i]!)!),
      inboundNodes: inboundNodes.map((call) => call.map(renameRef)),
    })),
    inputLayers: config.inputLayers.map(renameRef),
    outputLayers: config.outputLayers.map(renameRef),
  };
}

/** Wrapped layers and cells need no name, and an automatic one would differ in every build. */
function withoutAutomaticNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutAutomaticNames);
  if (!isPlain(value)) return value;
  if ('layers' in value) return renameInside(value as { readonly layers: readonly unknown[] });
  const entries = Object.entries(value).map(([key, each]) => [key, withoutAutomaticNames(each)]);
  const copy = Object.fromEntries(entries) as Record<string, unknown>;
  const { className, config } = copy as { className?: string; config?: { name?: string } };
  if (className !== undefined && config?.name !== undefined) {
    const { name, ...nameless } = config;
    if (automaticStem({ name, className }) !== undefined) return { ...copy, config: nameless };
  }
  return copy;
}

/** Of a model in a configuration only what its layers hold: the names of its layers are references. */
function renameInside(model: { readonly layers: readonly unknown[] }): object {
  const layers = model.layers.map((layer) => {
    const { config, ...rest } = layer as { readonly config: object };
    return { ...rest, config: withoutAutomaticNames(config) };
  });
  return { ...model, layers };
}

function listClassNames(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = 'className' in value && 'config' in value ? [String(value.className)] : [];
  return [...own, ...Object.values(value).flatMap(listClassNames)];
}
