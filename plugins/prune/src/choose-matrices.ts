import { FLOAT32, isWordMatrix, listMatrices, readStorages } from '@espalier/compression';
import type { StorableMatrix } from '@espalier/compression';
import { EspalierError, suggest, toCanonicalName } from '@espalier/core';
import type { LayerEntry, ModelGraph } from '@espalier/core';
import type { ParsedOptions } from './options.js';
import { SPARSE_KIND } from './sparse-storage.js';

/**
 * The matrices to prune; none where `auto` finds only pruned ones.
 *
 * @throws EspalierError `model/unknown-layer`, `prune/layer`, `prune/nothing`.
 */
export function findMatrices(
  graph: ModelGraph,
  { layers, minSize }: ParsedOptions,
): StorableMatrix[] {
  const entries = graph.topology.config.layers;
  if (layers !== 'auto') return layers.flatMap((name) => findByName(name, graph));
  const found = entries.flatMap((entry) =>
    floats(graph, entry).filter(
      ({ shape }) => isWordMatrix(entry, shape) && shape[0] * shape[1] >= minSize,
    ),
  );
  if (found.length > 0 || entries.some(isPruned)) return found;
  throw new EspalierError('prune/nothing', {
    problem: `the model has no embedding, and no dense layer with twice as many units as inputs, of ${minSize} numbers or more`,
    fix: 'Name layers: { layers: [ … ] }, or lower minSize.',
  });
}

function floats(graph: ModelGraph, entry: LayerEntry): StorableMatrix[] {
  return listMatrices(graph, entry).filter(({ storage }) => storage.kind === FLOAT32.kind);
}

function isPruned(entry: LayerEntry): boolean {
  return Object.values(readStorages(entry) ?? {}).some(({ kind }) => kind === SPARSE_KIND);
}

function findByName(layer: string, graph: ModelGraph): StorableMatrix[] {
  const entries = graph.topology.config.layers;
  const known = entries.map((each) => each.name);
  const name = toCanonicalName(layer, known, graph.ownNames ?? {});
  const entry = entries.find((each) => each.name === name);
  const able = entries.filter((each) => floats(graph, each).length > 0).map((each) => each.name);
  if (!entry) {
    throw new EspalierError('model/unknown-layer', {
      problem: `the model has no layer '${name}'`,
      fix: suggest(name, able),
    });
  }
  const places = floats(graph, entry);
  if (places.length > 0) return places;
  throw new EspalierError('prune/layer', {
    problem: isPruned(entry)
      ? `layer '${name}' is pruned already`
      : `layer '${name}' has no matrix of float32 numbers that can be pruned`,
    received: entry.className,
    fix: able.length > 0 ? `Layers that can be: ${able.join(', ')}.` : 'The model has none.',
  });
}
