import type { NamedTensors } from '@espalier/base';
import { EspalierError, suggest } from '@espalier/base';
import { listLayerParameters } from '../weights/parameters.js';
import type { Layer } from '../weights/parameters.js';
import { describeLayer, firstCall, findOwner } from './graph.js';
import type { GraphConfig, LayerEntry, ModelGraph, OutputRef } from './graph.js';
import { canonicalise, canonicalOr, numberDuplicates, unknownLayerError } from './names.js';
import { pruneGraph } from './prune.js';

/**
 * Appends a chain of layers behind a layer's output. With `output` its end becomes an output of the
 * model; otherwise `addOutput` it, since what no output needs is left out when the model is built.
 * Layers that are built already bring their weights along.
 *
 * @throws EspalierError `model/unknown-layer`, `edit/nested`, `edit/shared`, `edit/several-outputs`,
 * `edit/name-taken`.
 * @example
 * const exit = tf.layers.dense({ units: 10, name: 'exit_1' });
 * const edited = appendLayers(extractGraph(model), { after: 'block_2', layers: [exit], output: true });
 */
export function appendLayers(
  graph: ModelGraph,
  append: { readonly after: string; readonly layers: readonly Layer[]; readonly output?: boolean },
): ModelGraph {
  const { config } = graph.topology;
  const names = newNames(config, append.layers);
  let from = onlyOutput(graph, append.after);
  const entries = append.layers.map((layer, i): LayerEntry => {
    const entry = { ...describeLayer(layer, names[i]!), inboundNodes: [[from]] };
    from = [entry.name, firstCall(entry), 0];
    return entry;
  });
  const longer = withConfig(graph, {
    layers: [...config.layers, ...entries],
    outputLayers: [...config.outputLayers, ...(append.output ? [from] : [])],
  });
  return append.layers.reduce((edited, layer, i) => bring(edited, layer, names[i]!), longer);
}

/**
 * Puts another layer in a layer's place, under its name and with its inputs; a shared layer is
 * replaced in all of its calls. The new layer's weights are `weights`, by weight name (`kernel`),
 * else those that it brings along, else initial values.
 *
 * @throws EspalierError `model/unknown-layer`, `edit/nested`.
 * @example
 * const layer = tf.layers.dense({ units: 10, useBias: false });
 * const graph = replaceLayer(extractGraph(model), 'logits', layer, { kernel });
 */
export function replaceLayer(
  graph: ModelGraph,
  name: string,
  layer: Layer,
  weights: NamedTensors = {},
): ModelGraph {
  return replaceEntry(graph, find(graph, name), layer, weights);
}

function replaceEntry(
  graph: ModelGraph,
  old: LayerEntry,
  layer: Layer,
  weights: NamedTensors,
): ModelGraph {
  const { config, frozen } = graph.topology;
  const { name } = old;
  const entry = { ...describeLayer(layer, name), inboundNodes: old.inboundNodes };
  const layers = config.layers.map((each) => (each === old ? entry : each));
  const remains = (path: string) => path !== name && findOwner(config, path) !== name;
  const kept = Object.entries(graph.weights).filter(([path]) => remains(path));
  const given = Object.entries(weights).map(([weight, value]) => [`${name}/${weight}`, value]);
  const bare: ModelGraph = {
    ...graph,
    topology: { ...withConfig(graph, { layers }).topology, frozen: frozen.filter(remains) },
    weights: Object.fromEntries(kept),
  };
  const brought = bring(bare, layer, name);
  return { ...brought, weights: { ...brought.weights, ...Object.fromEntries(given) } };
}

/**
 * Makes a layer's output an output of the model; no change if it is one.
 *
 * @throws EspalierError `model/unknown-layer`, `edit/nested`, `edit/shared`, `edit/several-outputs`.
 * @example
 * const graph = addOutput(extractGraph(model), 'block_2');
 */
export function addOutput(graph: ModelGraph, layer: string): ModelGraph {
  const { outputLayers } = graph.topology.config;
  const added = onlyOutput(graph, layer);
  if (outputLayers.some(([name]) => name === added[0])) return graph;
  return withConfig(graph, { outputLayers: [...outputLayers, added] });
}

/**
 * Keeps these outputs, in the model's order, and only the layers and inputs that they need.
 *
 * @throws EspalierError `edit/unknown-output`.
 * @example
 * const graph = keepOutputs(extractGraph(model), ['logits']);
 */
export function keepOutputs(graph: ModelGraph, outputs: readonly string[]): ModelGraph {
  const { outputLayers } = graph.topology.config;
  const known = numberDuplicates(outputLayers.map(([layer]) => layer));
  const names = outputs.map((name) => canonicalOr(name, known, graph.ownNames));
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0 || names.length === 0) {
    throw new EspalierError('edit/unknown-output', {
      problem:
        unknown.length === 0 ? 'no output to keep' : `the model has no output '${unknown[0]}'`,
      fix: suggest(String(unknown[0] ?? ''), known),
    });
  }
  const kept = outputLayers.filter((_, i) => names.includes(known[i]!));
  return pruneGraph(withConfig(graph, { outputLayers: kept }));
}

function withConfig(graph: ModelGraph, change: Partial<GraphConfig>): ModelGraph {
  const { topology } = graph;
  return { ...graph, topology: { ...topology, config: { ...topology.config, ...change } } };
}

/** Adds the weights that a layer has already. */
function bring(graph: ModelGraph, layer: Layer, path: string): ModelGraph {
  const parameters = listLayerParameters(layer, path);
  const frozen = parameters.filter(({ trainable }) => !trainable).map((p) => p.path);
  const values = parameters.map((p) => [p.path, p.variable.read()]);
  return {
    ...graph,
    topology: { ...graph.topology, frozen: [...graph.topology.frozen, ...frozen] },
    weights: { ...graph.weights, ...Object.fromEntries(values) },
  };
}

function newNames(config: GraphConfig, layers: readonly Layer[]): string[] {
  const added = layers.map((layer) => ({ name: layer.name, className: layer.getClassName() }));
  const names = canonicalise([...config.layers, ...added]);
  const taken = names.find((name, i) => names.indexOf(name) !== i);
  if (taken === undefined) return names.slice(config.layers.length);
  throw new EspalierError('edit/name-taken', {
    problem: `there is already a layer '${taken}'`,
    fix: 'Give the new layer another name.',
  });
}

function find({ topology: { config }, ownNames }: ModelGraph, name: string): LayerEntry {
  const names = config.layers.map((entry) => entry.name);
  const found = config.layers[names.indexOf(canonicalOr(name, names, ownNames))];
  if (found) return found;
  const outer = names.find((each) => name.startsWith(`${each}/`));
  if (outer === undefined) throw unknownLayerError(name, names);
  throw new EspalierError('edit/nested', {
    problem: `cannot edit inside nested model: '${name}' is a layer of '${outer}'`,
    fix: `Edit '${outer}' as a whole, or apply its layers one by one when building the model.`,
  });
}

function onlyOutput(graph: ModelGraph, layer: string): OutputRef {
  const entry = find(graph, layer);
  const { name } = entry;
  if (entry.inboundNodes.length > 1) {
    throw new EspalierError('edit/shared', {
      problem: `layer '${name}' is shared: it is called ${entry.inboundNodes.length} times, so 'its output' is ambiguous`,
      fix: 'Name a layer behind the call that you mean.',
    });
  }
  const nested = entry.config['outputLayers'] as unknown[] | undefined;
  if ((nested?.length ?? 1) > 1 || entry.config['returnState'] === true) {
    throw new EspalierError('edit/several-outputs', {
      problem: `layer '${name}' has several outputs, so 'its output' is ambiguous`,
      fix: 'Name a layer behind the output that you mean.',
    });
  }
  return [name, firstCall(entry), 0];
}
