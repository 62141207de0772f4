import { EspalierError, refuseForeignTensor, suggest } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, LayerVariable } from '@tensorflow/tfjs-layers';
import './build-that-ends.js';
import { orUndo } from '../weights/existing-weights.js';
import { writeExactly } from '../weights/layer-variables.js';
import { innerVariable, layerPaths, listParameters } from '../weights/parameters.js';
import type { Parameter } from '../weights/parameters.js';
import { fitsVariable, shareVariable } from '../weights/shared.js';
import { checkRegistered, findOwner } from './graph.js';
import type { GraphConfig, ModelGraph } from './graph.js';
import { nameUniquely } from './nested-names.js';
import { pruneGraph } from './prune.js';

/** How to build a model. */
export interface BuildOptions {
  /**
   * Weights of other models by path. A layer whose weights are all among them, in the same shapes, holds
   * the same variables instead of copies: what trains in one model trains in the other, and
   * {@link disposeModel} of one leaves them to the other.
   */
  readonly share?: ReadonlyMap<string, LayerVariable>;
}

/**
 * Builds the model of a graph. Weights are copied, unless they are shared; those that the graph lacks get
 * initial values (from keyed streams inside {@link withKeyedInit}). Nothing is left behind when it throws.
 *
 * @throws EspalierError `model/no-graph`, `model/unregistered-layer`, `model/unknown-weight`, `model/weight-shape`,
 * `model/broken-graph`, `model/build`.
 * @example
 * const copy = buildModel(extractGraph(model));
 */
export function buildModel(graph: ModelGraph, { share }: BuildOptions = {}): LayersModel {
  if (!graph?.topology) {
    throw new EspalierError('model/no-graph', {
      problem: 'a model is built from a graph { topology, weights }',
      received: graph,
      fix: 'An edit returns the graph: ctx.edit((graph) => appendLayers(graph, { … })).',
    });
  }
  try {
    checkRegistered(graph.topology.config);
    const { topology, weights } = pruneGraph(graph);
    const built = orUndo(() => {
      const config = structuredClone(
        nameUniquely(topology.config),
      ) as unknown as tf.serialization.ConfigDict;
      const model = tfl.LayersModel.fromConfig<LayersModel>(tfl.LayersModel, config);
      restoreWeights(model, weights);
      return model;
    });
    if (share) shareWeights(built, topology.config, share);
    freeze(built, topology.frozen);
    return built;
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause;
    throw new EspalierError('model/build', {
      problem: `the model cannot be built from its graph: ${(cause as Error).message}`,
      fix: 'Check the shapes around the edited layers, and that getConfig() of custom layers returns all that their constructor needs.',
      cause,
    });
  }
}

function restoreWeights(model: LayersModel, weights: ModelGraph['weights']): void {
  const parameters = mapParameters(model);
  for (const [path, value] of Object.entries(weights)) {
    const parameter = parameters.get(path);
    if (!parameter) {
      throw new EspalierError('model/unknown-weight', {
        problem: `the graph has a value for '${path}', which is no weight of its layers`,
        fix: suggest(path, [...parameters.keys()]),
      });
    }
    refuseForeignTensor(`the weight '${path}'`, value);
    if (!tf.util.arraysEqual([...parameter.shape], value.shape)) {
      throw new EspalierError('model/weight-shape', {
        problem: `weight '${path}' has shape [${parameter.shape.join(', ')}]`,
        received: value.shape,
      });
    }
    writeExactly(parameter.variable, value);
  }
}

/** Layer by layer, whole layers only: half of one would be no layer that computes anything sensible. */
function shareWeights(
  model: LayersModel,
  config: GraphConfig,
  share: ReadonlyMap<string, LayerVariable>,
): void {
  const parameters = listParameters(model);
  const fits = ({ path, variable }: Parameter) => {
    const other = share.get(path);
    return other !== undefined && fitsVariable(variable, innerVariable(other));
  };
  const changed = new Set(
    parameters.filter((each) => !fits(each)).map(({ path }) => findOwner(config, path)),
  );
  for (const { path, variable } of parameters) {
    if (changed.has(findOwner(config, path))) continue;
    const other = share.get(path)!;
    shareVariable(variable, innerVariable(other), other);
  }
}

function freeze(model: LayersModel, paths: readonly string[]): void {
  const parameters = mapParameters(model);
  const layers = new Map(layerPaths(model).map(([layer, path]) => [path, layer]));
  for (const path of paths) {
    const frozen: { trainable: boolean } | undefined =
      parameters.get(path)?.variable ?? layers.get(path);
    if (frozen) frozen.trainable = false;
  }
}

function mapParameters(model: LayersModel): ReadonlyMap<string, Parameter> {
  return new Map(listParameters(model).map((parameter) => [parameter.path, parameter]));
}
