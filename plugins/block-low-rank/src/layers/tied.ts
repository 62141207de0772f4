import type { CompressionEntry, Matrix, WrittenRules } from '@espalier/compression';
import { EspalierError, replaceLayer } from '@espalier/core';
import type { LayerEntry, ModelGraph, NamedTensors, OutputRef } from '@espalier/core';
import type { LayerTarget } from '../layer-targets.js';
import { countBasisRows } from '../maths/blocks.js';
import type { ParsedOptions } from '../options.js';
import type { BlockMatrixConfig } from './block-matrix.js';
import { BlockLowRankTiedDense } from './layers.js';

/** An embedding and a dense layer that hold one matrix. */
export interface TiedPair {
  readonly embedding: LayerTarget;
  readonly softmax: LayerTarget;
}

/**
 * Embeddings whose matrix a dense layer holds too, number by number.
 *
 * @throws EspalierError `block-low-rank/tied` where that is refused.
 */
export function tiedMatrices(
  places: readonly LayerTarget[],
  matrices: readonly Matrix[],
  { tied }: Pick<ParsedOptions, 'tied'>,
): TiedPair[] {
  if (tied === 'split') return [];
  const on = (side: LayerTarget['role']) =>
    places.flatMap((place, i) => (place.role === side ? [i] : []));
  const free = new Set(on('softmax'));
  const pairs = on('embedding').flatMap((i) => {
    const same = [...free].find((j) => equal(matrices[i]!, matrices[j]!));
    if (same === undefined) return [];
    free.delete(same);
    return [{ embedding: places[i]!, softmax: places[same]! }];
  });
  const [first] = pairs;
  if (!first || tied === 'share') return pairs;
  throw new EspalierError('block-low-rank/tied', {
    problem: `layers '${first.embedding.entry.name}' and '${first.softmax.entry.name}' hold the same matrix: they are tied`,
    fix: "Pass tied: 'share' to keep one matrix for both, or 'split' to approximate them apart.",
  });
}

/** By the embedding's name: the dense layer that shares its matrix. */
export function mapPairs(tied: readonly TiedPair[]): ReadonlyMap<string, string> {
  return new Map(tied.map(({ embedding, softmax }) => [embedding.entry.name, softmax.entry.name]));
}

/** The account of an embedding says which regularizer comes to it from the layer that shares its matrix. */
export function noteMovedRules(
  line: CompressionEntry,
  tied: readonly TiedPair[],
): CompressionEntry {
  const pair = tied.find(({ embedding }) => embedding.entry.name === line.layer);
  if (!pair?.softmax.entry.config['kernelRegularizer']) return line;
  const from = pair.softmax.entry.name;
  return {
    ...line,
    summary: `${line.summary}; kernelRegularizer of ${from} moves to the shared matrix`,
  };
}

/** Lets a dense layer use the factors of an embedding that is in low rank by now. */
export function shareFactors(graph: ModelGraph, embedding: string, dense: string): ModelGraph {
  const { config } = findEntry(graph, embedding);
  const blocks = config as unknown as BlockMatrixConfig;
  const { useBias, activation, ...rest } = findEntry(graph, dense).config as WrittenRules & {
    useBias?: boolean;
    activation?: string;
  };
  const { kernelRegularizer = null, biasRegularizer = null, biasConstraint = null } = rest;
  const layer = new BlockLowRankTiedDense({
    blocks: blocks.blocks,
    permuted: blocks.permuted ?? false,
    useBias: useBias ?? true,
    activation: activation ?? null,
    ...{ biasRegularizer, biasConstraint },
  });
  const bias = graph.weights[`${dense}/bias`];
  const replaced = replaceLayer(graph, dense, layer, bias ? { bias } : ({} as NamedTensors));
  const count =
    blocks.blocks.length + (countBasisRows(blocks.blocks) > 0 ? 1 : 0) + (blocks.permuted ? 1 : 0);
  const factors = Array.from({ length: count }, (_, i): OutputRef => [embedding, 0, i + 1]);
  return mapEntries(replaced, (entry) => {
    if (entry.name === embedding) {
      return { ...entry, config: { ...entry.config, shares: true, kernelRegularizer } };
    }
    if (entry.name !== dense) return entry;
    return { ...entry, inboundNodes: entry.inboundNodes.map((call) => [...call, ...factors]) };
  });
}

function findEntry(graph: ModelGraph, name: string): LayerEntry {
  return graph.topology.config.layers.find((entry) => entry.name === name)!;
}

function mapEntries(graph: ModelGraph, change: (entry: LayerEntry) => LayerEntry): ModelGraph {
  const { topology } = graph;
  const layers = topology.config.layers.map(change);
  return { ...graph, topology: { ...topology, config: { ...topology.config, layers } } };
}

function equal(a: Matrix, b: Matrix): boolean {
  return (
    a.rows === b.rows && a.columns === b.columns && a.data.every((value, i) => value === b.data[i])
  );
}
