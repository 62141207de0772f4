import { EspalierError } from '@espalier/base';
import { firstCall, findOwner } from './graph.js';
import type { GraphConfig, ModelGraph, OutputRef } from './graph.js';

/**
 * The graph without layers, calls, inputs and weights that no output needs.
 *
 * @throws EspalierError `model/broken-graph`.
 */
export function pruneGraph(graph: ModelGraph): ModelGraph {
  const { topology, weights } = graph;
  const { config } = topology;
  const calls = neededCalls(config);
  const first = new Map(config.layers.map((entry) => [entry.name, firstCall(entry)]));
  const moveRef = ([name, call, ...rest]: OutputRef): OutputRef => [
    name,
    first.get(name)! + calls.get(name)!.indexOf(call),
    ...rest,
  ];
  const layers = config.layers
    .filter(({ name }) => calls.has(name))
    .map((entry) => ({
      ...entry,
      inboundNodes: entry.inboundNodes
        .filter((_, i) => calls.get(entry.name)!.includes(i + firstCall(entry)))
        .map((inputs) => inputs.map(moveRef)),
    }));
  const remains = (path: string) => calls.has(findOwner(config, path) ?? path);
  return {
    ...graph,
    topology: {
      ...topology,
      config: {
        ...config,
        layers,
        inputLayers: config.inputLayers.filter(([name]) => calls.has(name)),
        outputLayers: config.outputLayers.map(moveRef),
      },
      frozen: topology.frozen.filter(remains),
    },
    weights: Object.fromEntries(Object.entries(weights).filter(([path]) => remains(path))),
  };
}

/** Also refuses what tfjs would look for without end: calls that do not exist, and cycles. */
function neededCalls(config: GraphConfig): Map<string, readonly number[]> {
  const entries = new Map(config.layers.map((entry) => [entry.name, entry]));
  const needed = new Map<string, readonly number[]>();
  const behind = new Set<string>();
  const visit = ([name, call]: OutputRef): void => {
    const entry = entries.get(name);
    const key = `call ${call} of '${name}'`;
    const isInput = entry?.className === 'InputLayer' && call === 0;
    const inputs = isInput ? [] : entry?.inboundNodes[call - firstCall(entry)];
    if (!inputs || behind.has(key)) throw brokenGraph(key);
    const calls = needed.get(name) ?? [];
    if (calls.includes(call)) return;
    needed.set(
      name,
      [...calls, call].sort((a, b) => a - b),
    );
    behind.add(key);
    inputs.forEach(visit);
    behind.delete(key);
  };
  config.outputLayers.forEach(visit);
  return needed;
}

function brokenGraph(key: string): EspalierError {
  return new EspalierError('model/broken-graph', {
    problem: `the graph needs ${key}, which is not there or depends on itself`,
    fix: 'Edit graphs with appendLayers, replaceLayer, addOutput and keepOutputs.',
  });
}
