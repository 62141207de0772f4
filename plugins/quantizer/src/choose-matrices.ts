import { FLOAT32, listMatrices, readStorages } from '@espalier/compression';
import type { StorableMatrix } from '@espalier/compression';
import { EspalierError, filterNames, matches, suggest, toCanonicalName } from '@espalier/core';
import type { LayerEntry, ModelGraph } from '@espalier/core';
import type { ParsedOptions } from './options.js';
import { CODE_KINDS, FAKE_KIND } from './storage/storage-config.js';
import { isVectorKind } from './vectors/layout.js';

/** A matrix of a layer that can be put into codes. */
export interface QuantizedMatrix extends StorableMatrix {
  /** Which granularity comes first. */
  readonly prefer: 'row' | 'column';
  /** Names of its layer: the canonical one, and that in the user's own model where it is another. */
  readonly names: readonly string[];
}

/**
 * The matrices to quantize: of the layers named, or of every layer whose matrices hold `minSize`
 * numbers or more.
 *
 * @throws EspalierError `quantizer/unknown-layer`, `quantizer/no-matrix`, `quantizer/already`,
 * `quantizer/nothing`.
 */
export function chooseMatrices(
  graph: ModelGraph,
  options: ParsedOptions,
): readonly QuantizedMatrix[] {
  const byLayer = new Map(
    graph.topology.config.layers.map((entry) => [entry.name, findMatrices(graph, entry)]),
  );
  const names =
    options.layers === 'auto'
      ? [...byLayer.keys()].filter((name) => countNumbers(byLayer.get(name)!) >= options.minSize)
      : options.layers.flatMap((pattern) => expandName(pattern, byLayer, graph));
  const places = [...new Set(names)].flatMap((name) => byLayer.get(name)!);
  if (places.length > 0) return places;
  throw nothing(`no layer has matrices of ${options.minSize} numbers or more`, graph);
}

/** The error for a transform that would change nothing. */
export function nothing(why: string, graph: ModelGraph): EspalierError {
  const coded = graph.topology.config.layers.filter(isCoded).map(({ name }) => name);
  const already = coded.length > 0 ? ` Already quantized: ${coded.join(', ')}.` : '';
  return new EspalierError('quantizer/nothing', {
    problem: `there is nothing to quantize: ${why}.${already}`,
    fix: 'Name layers with layers: [ … ], or lower minSize.',
  });
}

function countNumbers(places: readonly QuantizedMatrix[]): number {
  return places.reduce((sum, { shape: [rows, columns] }) => sum + rows * columns, 0);
}

/** The float matrices of a layer; of a kernel the columns, the outputs, come first. */
function findMatrices(graph: ModelGraph, entry: LayerEntry): QuantizedMatrix[] {
  const own = Object.entries(graph.ownNames ?? {}).filter(([, name]) => name === entry.name);
  const names = [entry.name, ...own.map(([name]) => name)];
  return listMatrices(graph, entry)
    .filter(({ storage }) => [FLOAT32.kind, FAKE_KIND].includes(storage.kind))
    .map((place) => ({ ...place, names, prefer: place.matrix === 'kernel' ? 'column' : 'row' }));
}

function isCoded(entry: LayerEntry): boolean {
  const kinds = Object.values(readStorages(entry) ?? {}).map(({ kind }) => kind);
  return kinds.some((kind) => CODE_KINDS.includes(kind as never) || isVectorKind(kind));
}

function expandName(
  pattern: string,
  byLayer: ReadonlyMap<string, readonly QuantizedMatrix[]>,
  graph: ModelGraph,
): readonly string[] {
  const { layers } = graph.topology.config;
  const known = layers.map(({ name }) => name);
  const { ownNames = {} } = graph;
  const exact = toCanonicalName(pattern, known, ownNames);
  const names = filterNames((name) => matches(exact, name), known, ownNames);
  const matching = layers.filter(({ name }) => names.includes(name));
  const able = [...byLayer.keys()].filter((name) => byLayer.get(name)!.length > 0);
  if (matching.length === 0) throw unknownLayer(pattern, layers, able);
  const found = matching.map(({ name }) => name).filter((name) => able.includes(name));
  if (found.length > 0) return found;
  const coded = matching.filter(isCoded).map(({ name }) => name);
  if (coded.length > 0) {
    throw new EspalierError('quantizer/already', {
      problem: `layer '${coded[0]}' is quantized already`,
      fix: 'Leave it out of layers. To quantize it otherwise, start from the model before.',
    });
  }
  throw new EspalierError('quantizer/no-matrix', {
    problem: `layer '${matching[0]!.name}' is a ${matching[0]!.className}, which has no matrix that can be quantized`,
    received: pattern,
    fix: `Layers that can be quantized: Dense, Conv2D, Embedding, and layers with a storage configuration. ${suggest(pattern, able)}`,
  });
}

function unknownLayer(
  pattern: string,
  layers: readonly LayerEntry[],
  able: readonly string[],
): EspalierError {
  const nested = layers.find(({ name }) => pattern.startsWith(`${name}/`));
  return new EspalierError('quantizer/unknown-layer', {
    problem: nested
      ? `'${pattern}' is inside the nested model '${nested.name}', where layers cannot be replaced`
      : `the model has no layer '${pattern}'`,
    received: pattern,
    fix: suggest(pattern, able),
  });
}
