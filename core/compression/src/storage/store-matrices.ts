import type { LayerEntry, ModelGraph, NamedTensors, StructureAccess } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { CompressionDetail, CompressionEntry, SizeCost } from '../compression-report.js';
import { describeRules } from './penalties.js';
import { findRows } from './row-source.js';
import { isOwnWeight, listMatrices, readStorages } from './storable-matrices.js';
import type { StorableMatrix } from './storable-matrices.js';
import { createStorage } from './storage.js';
import type { StorageConfig } from './storage.js';

/** Numbers of a weight on the host. */
export interface HostWeight {
  /** Elements, row-major. */
  readonly data: Float32Array | Int32Array;
  /** Its shape. */
  readonly shape: readonly number[];
}

/** A matrix as it will be stored, and what that costs. */
export interface StoredEdit {
  /** The matrix. */
  readonly place: StorableMatrix;
  /** Its new storage. */
  readonly config: StorageConfig;
  /** The weights of that storage by name. */
  readonly weights: Readonly<Record<string, HostWeight>>;
  /** In words, for the account. */
  readonly summary: string;
  /** Squared error, and squared length of the matrix before. */
  readonly error: number;
  readonly norm: number;
  /** What was minimised, relative, and what other sizes would cost; for layers of one matrix. */
  readonly weightedError?: number;
  readonly front?: readonly SizeCost[];
}

/**
 * Edits the model so that these matrices have their new storages: plain layers become `StoredDense`, and so
 * on, and the compression report gets a line for each layer. Call it in a `transform` tap.
 *
 * @param before The graph that the matrices come from.
 * @example
 * ctx.hooks.transform.tap(() => storeMatrices(ctx, ctx.model.graph, edits));
 */
export function storeMatrices(
  { edit }: Pick<StructureAccess, 'edit'>,
  before: ModelGraph,
  stored: readonly StoredEdit[],
): void {
  const detail: CompressionDetail = { compression: createReport(before, stored) };
  tf.tidy(() => edit((graph) => replaceMatrices(graph, stored), detail));
}

/**
 * Bytes of weights on the host.
 *
 * @example
 * countHostBytes({ kernel: { data: new Float32Array(6), shape: [2, 3] } }); // 24
 */
export function countHostBytes(weights: StoredEdit['weights']): number {
  return Object.values(weights).reduce((sum, { data }) => sum + data.byteLength, 0);
}

/**
 * The parts of a matrix as weights of rank 1: `<matrix>_<part>`.
 *
 * @example
 * nameWeights('kernel', { codes: new Int32Array(4) }); // { kernel_codes: { data, shape: [4] } }
 */
export function nameWeights(
  matrix: string,
  parts: Readonly<Record<string, HostWeight['data']>>,
): StoredEdit['weights'] {
  const named = Object.entries(parts).map(([part, data]): [string, HostWeight] => [
    `${matrix}_${part}`,
    { data, shape: [data.length] },
  ]);
  return Object.fromEntries(named);
}

function replaceMatrices(graph: ModelGraph, stored: readonly StoredEdit[]): ModelGraph {
  const { topology, weights } = graph;
  const tensors = uploadWeights(stored);
  const gone = new Set(stored.flatMap(({ place }) => listPaths(place)));
  const layers = topology.config.layers.map((entry) => {
    const own = stored.filter(({ place }) => place.layer === entry.name);
    return own.length > 0 ? replaceStorages(entry, own) : entry;
  });
  const kept = Object.entries(weights).filter(([path]) => !gone.has(path));
  return {
    ...graph,
    topology: {
      ...topology,
      config: { ...topology.config, layers },
      frozen: topology.frozen.filter((path) => path in tensors || !gone.has(path)),
    },
    weights: { ...Object.fromEntries(kept), ...tensors },
  };
}

function uploadWeights(stored: readonly StoredEdit[]): NamedTensors {
  const entries = stored.flatMap(({ place, weights }) =>
    Object.entries(weights).map(([name, { data, shape }]) => [
      `${place.layer}/${name}`,
      tf.tensor(data, [...shape]),
    ]),
  );
  return Object.fromEntries(entries);
}

/** Paths of the weights that hold a matrix now. */
function listPaths({ layer, matrix, shape, storage }: StorableMatrix): string[] {
  return createStorage(matrix, shape, storage).weights.map(({ name }) => `${layer}/${name}`);
}

function replaceStorages(entry: LayerEntry, stored: readonly StoredEdit[]): LayerEntry {
  const changed = stored.map(({ place, config }) => [place.matrix, config]);
  const storage = { ...readStorages(entry), ...Object.fromEntries(changed) };
  const { className } = stored[0]!.place;
  return { ...entry, className, config: { ...entry.config, storage } };
}

/** One line of the account for each layer. */
function createReport(before: ModelGraph, stored: readonly StoredEdit[]): CompressionEntry[] {
  return [...new Set(stored.map(({ place }) => place.layer))].map((layer) => {
    const own = stored.filter(({ place }) => place.layer === layer);
    const streamed = sumOf(own, countStreamedBytes);
    const bytesBefore = countLayerBytes(before, layer) + streamed;
    const paths = own.flatMap(({ place }) => listPaths(place));
    const removed = paths.reduce((sum, path) => sum + countTensorBytes(before.weights[path]!), 0);
    const added = own.reduce((sum, { weights }) => sum + countHostBytes(weights), 0);
    const [error, norm] = [sumOf(own, (each) => each.error), sumOf(own, (each) => each.norm)];
    const { weightedError, front } = own.length === 1 ? own[0]! : {};
    return {
      layer,
      summary: [describe(own), ...describeLostRules(before, layer, own)].join('; '),
      bytesBefore,
      bytesAfter: bytesBefore - streamed - removed + added,
      relativeError: norm === 0 ? 0 : Math.sqrt(error / norm),
      ...(weightedError !== undefined && { weightedError }),
      ...(front && { front }),
    };
  });
}

/** What becomes of the layer's regularizer and constraint. */
function describeLostRules(
  graph: ModelGraph,
  layer: string,
  stored: readonly StoredEdit[],
): string[] {
  const entry = graph.topology.config.layers.find(({ name }) => name === layer)!;
  const trains = listMatrices(graph, entry).some(({ matrix, shape, storage }) => {
    const config = stored.find(({ place }) => place.matrix === matrix)?.config ?? storage;
    return createStorage(matrix, shape, config).weights.some(({ trainable }) => trainable);
  });
  return describeRules(entry, trains);
}

function countLayerBytes({ weights }: ModelGraph, layer: string): number {
  return Object.entries(weights)
    .filter(([path]) => isOwnWeight(layer, path))
    .reduce((sum, [, value]) => sum + countTensorBytes(value), 0);
}

function countTensorBytes({ size, dtype }: tf.Tensor): number {
  return size * tf.util.bytesPerElement(dtype);
}

/** What a matrix that is read from elsewhere would take in float32. */
function countStreamedBytes({ place: { storage, shape } }: StoredEdit): number {
  return findRows(storage) ? 4 * shape[0] * shape[1] : 0;
}

function sumOf(stored: readonly StoredEdit[], measure: (edit: StoredEdit) => number): number {
  return stored.reduce((sum, each) => sum + measure(each), 0);
}

/** `u0, u1: 8 bits, a scale per column; basis: …`. */
function describe(stored: readonly StoredEdit[]): string {
  const different = [...new Set(stored.map(({ summary: what }) => what))];
  const listNames = (what: string) =>
    stored.filter((each) => each.summary === what).map(({ place }) => place.matrix);
  return different.map((what) => `${listNames(what).join(', ')}: ${what}`).join('; ');
}
