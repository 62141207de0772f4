import { describeRules, StoredTiedDense } from '@espalier/compression';
import type { StoredEdit, StoredTiedDenseConfig } from '@espalier/compression';
import { replaceLayer } from '@espalier/core';
import type { LayerEntry, ModelGraph, OutputRef } from '@espalier/core';
import type { TiedPair } from '../layers/tied.js';

/** Lets dense layers use the matrices of embeddings that are in codes by now. */
export function tieLayers(graph: ModelGraph, pairs: readonly TiedPair[]): ModelGraph {
  return pairs.reduce(
    (edited, { embedding, softmax }) => tieDense(edited, embedding.entry.name, softmax.entry),
    graph,
  );
}

function tieDense(graph: ModelGraph, embedding: string, { name, config }: LayerEntry): ModelGraph {
  const layer = new StoredTiedDense(config as unknown as StoredTiedDenseConfig);
  const bias = graph.weights[`${name}/bias`];
  const handle: OutputRef = [embedding, 0, 1];
  const replaced = replaceLayer(graph, name, layer, { ...(bias && { bias }) });
  return mapEntries(replaced, (entry) => {
    if (entry.name === embedding) return { ...entry, config: { ...entry.config, shares: true } };
    if (entry.name !== name) return entry;
    return { ...entry, inboundNodes: entry.inboundNodes.map((call) => [...call, handle]) };
  });
}

function mapEntries(graph: ModelGraph, change: (entry: LayerEntry) => LayerEntry): ModelGraph {
  const { topology } = graph;
  const layers = topology.config.layers.map(change);
  return { ...graph, topology: { ...topology, config: { ...topology.config, layers } } };
}

/** The account of an embedding says what becomes of the regularizer of the layer that uses its matrix too. */
export function noteTiedRules(
  edit: StoredEdit,
  tied: LayerEntry | undefined,
  trains: boolean,
): StoredEdit {
  const [rule] = tied ? describeRules(tied, trains) : [];
  return rule ? { ...edit, summary: `${edit.summary}; of ${tied!.name}: ${rule}` } : edit;
}

/** The dense layer that uses an embedding's matrix, if there is one. */
export function findTied({ topology }: ModelGraph, embedding: string): LayerEntry | undefined {
  return topology.config.layers.find(
    ({ className, inboundNodes }) =>
      className === StoredTiedDense.className &&
      inboundNodes.some((call) => call.some(([source]) => source === embedding)),
  );
}
