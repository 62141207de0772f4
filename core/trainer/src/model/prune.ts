import { firstCall, layerOf } from './graph.js';
import type { GraphConfig, ModelGraph, OutputRef } from './graph.js';

/** The graph without layers, calls, inputs and weights that no output needs. */
export function pruned({ topology, weights }: ModelGraph): ModelGraph {
  const { config } = topology;
  const calls = neededCalls(config);
  const first = new Map(config.layers.map((entry) => [entry.name, firstCall(entry)]));
  const moved = ([name, call, ...rest]: OutputRef): OutputRef => [
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
        .map((inputs) => inputs.map(moved)),
    }));
  const remains = (path: string) => calls.has(layerOf(config, path) ?? path);
  return {
    topology: {
      ...topology,
      config: {
        ...config,
        layers,
        inputLayers: config.inputLayers.filter(([name]) => calls.has(name)),
        outputLayers: config.outputLayers.map(moved),
      },
      frozen: topology.frozen.filter(remains),
    },
    weights: Object.fromEntries(Object.entries(weights).filter(([path]) => remains(path))),
  };
}

function neededCalls(config: GraphConfig): Map<string, readonly number[]> {
  const entries = new Map(config.layers.map((entry) => [entry.name, entry]));
  const needed = new Map<string, readonly number[]>();
  const visit = ([name, call]: OutputRef): void => {
    const calls = needed.get(name) ?? [];
    if (calls.includes(call)) return;
    needed.set(
      name,
      [...calls, call].sort((a, b) => a - b),
    );
    const entry = entries.get(name)!;
    entry.inboundNodes[call - firstCall(entry)]?.forEach(visit);
  };
  config.outputLayers.forEach(visit);
  return needed;
}
