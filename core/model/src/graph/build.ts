import { EspalierError, suggest } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { orUndo } from '../weights/existing-weights.js';
import { refuseForeignTensor } from '../weights/foreign.js';
import { writeExactly } from '../weights/layer-variables.js';
import { layerPaths, listParameters } from '../weights/parameters.js';
import { checkRegistered } from './graph.js';
import type { ModelGraph } from './graph.js';
import { nameUniquely } from './nested-names.js';
import { pruneGraph } from './prune.js';

/**
 * Builds the model of a graph. Weights are copied; those that the graph lacks get initial values
 * (from keyed streams inside {@link withKeyedInit}). Nothing is left behind when it throws.
 *
 * @throws EspalierError `model/no-graph`, `model/unregistered-layer`, `model/unknown-weight`, `model/weight-shape`,
 * `model/broken-graph`, `model/build`.
 * @example
 * const copy = buildModel(extractGraph(model));
 */
export function buildModel(graph: ModelGraph): LayersModel {
  if (!graph?.topology) {
    throw new EspalierError('model/no-graph', {
      problem: 'a model is built from a graph { topology, weights }',
      received: graph,
      fix: 'An edit returns the graph: ctx.edit((graph) => appendLayers(graph, { … })).',
    });
  }
  checkRegistered(graph.topology.config);
  const { topology, weights } = pruneGraph(graph);
  try {
    return orUndo(() => {
      const config = structuredClone(
        nameUniquely(topology.config),
      ) as unknown as tf.serialization.ConfigDict;
      const model = tfl.LayersModel.fromConfig<LayersModel>(tfl.LayersModel, config);
      restore(model, { topology, weights });
      return model;
    });
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause;
    throw new EspalierError('model/build', {
      problem: `the model cannot be built from its graph: ${(cause as Error).message}`,
      fix: 'Check the shapes around the edited layers, and that getConfig() of custom layers returns all that their constructor needs.',
      cause,
    });
  }
}

function restore(model: LayersModel, { topology, weights }: ModelGraph): void {
  const parameters = new Map(listParameters(model).map((parameter) => [parameter.path, parameter]));
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
  const layers = new Map(layerPaths(model).map(([layer, path]) => [path, layer]));
  for (const path of topology.frozen) {
    const frozen: { trainable: boolean } | undefined =
      parameters.get(path)?.variable ?? layers.get(path);
    if (frozen) frozen.trainable = false;
  }
}
