import type { LayerEntry, ModelGraph, NamedTensors, StructureAccess } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { CompressionDetail, CompressionEntry } from './account.js';
import { isWeightOf, matrixPlaces, storagesOf } from './matrix-places.js';
import type { MatrixPlace } from './matrix-places.js';
import { describeRules } from './penalties.js';
import { storageOf } from './storage.js';
import type { StorageConfig } from './storage.js';

/** Numbers of a weight on the host. */
export interface HostWeight {
  readonly data: Float32Array | Int32Array;
  readonly shape: readonly number[];
}

/** A matrix as it will be stored, and what that costs. */
export interface NewlyStored {
  readonly place: MatrixPlace;
  readonly config: StorageConfig;
  /** The weights of that storage by name. */
  readonly weights: Readonly<Record<string, HostWeight>>;
  /** In words, for the account. */
  readonly what: string;
  /** Squared error, and squared length of the matrix before. */
  readonly error: number;
  readonly norm: number;
}

/**
 * Edits the model so that these matrices are in their new storages: plain layers become
 * `StoredDense`, …, and the account of bytes gains a line for each layer. To be called inside a
 * `transform` tap.
 */
export function storeMatrices(
  { edit }: Pick<StructureAccess, 'edit'>,
  before: ModelGraph,
  stored: readonly NewlyStored[],
): void {
  const detail: CompressionDetail = { compression: accountOf(before, stored) };
  tf.tidy(() => edit((graph) => withMatrices(graph, stored), detail));
}

/** Bytes of weights on the host. */
export function hostBytes(weights: NewlyStored['weights']): number {
  return Object.values(weights).reduce((sum, { data }) => sum + data.byteLength, 0);
}

function withMatrices(graph: ModelGraph, stored: readonly NewlyStored[]): ModelGraph {
  const { topology, weights } = graph;
  const tensors = tensorsOf(stored);
  const gone = new Set(stored.flatMap(({ place }) => pathsOf(place)));
  const layers = topology.config.layers.map((entry) => {
    const own = stored.filter(({ place }) => place.layer === entry.name);
    return own.length > 0 ? withStorages(entry, own) : entry;
  });
  const kept = Object.entries(weights).filter(([path]) => !gone.has(path));
  return {
    topology: {
      ...topology,
      config: { ...topology.config, layers },
      frozen: topology.frozen.filter((path) => path in tensors || !gone.has(path)),
    },
    weights: { ...Object.fromEntries(kept), ...tensors },
  };
}

function tensorsOf(stored: readonly NewlyStored[]): NamedTensors {
  const entries = stored.flatMap(({ place, weights }) =>
    Object.entries(weights).map(([name, { data, shape }]) => [
      `${place.layer}/${name}`,
      tf.tensor(data, [...shape]),
    ]),
  );
  return Object.fromEntries(entries);
}

/** Paths of the weights that hold a matrix now. */
function pathsOf({ layer, matrix, shape, storage }: MatrixPlace): string[] {
  return storageOf(matrix, shape, storage).weights.map(({ name }) => `${layer}/${name}`);
}

function withStorages(entry: LayerEntry, stored: readonly NewlyStored[]): LayerEntry {
  const changed = stored.map(({ place, config }) => [place.matrix, config]);
  const storage = { ...storagesOf(entry), ...Object.fromEntries(changed) };
  const { className } = stored[0]!.place;
  return { ...entry, className, config: { ...entry.config, storage } };
}

/** One line of the account for each layer. */
function accountOf(before: ModelGraph, stored: readonly NewlyStored[]): CompressionEntry[] {
  return [...new Set(stored.map(({ place }) => place.layer))].map((layer) => {
    const own = stored.filter(({ place }) => place.layer === layer);
    const bytesBefore = bytesOf(before, layer);
    const paths = own.flatMap(({ place }) => pathsOf(place));
    const removed = paths.reduce((sum, path) => sum + tensorBytes(before.weights[path]!), 0);
    const added = own.reduce((sum, { weights }) => sum + hostBytes(weights), 0);
    const [error, norm] = [sumOf(own, 'error'), sumOf(own, 'norm')];
    return {
      layer,
      what: [describe(own), ...rulesOf(before, layer, own)].join('; '),
      bytesBefore,
      bytesAfter: bytesBefore - removed + added,
      relativeError: norm === 0 ? 0 : Math.sqrt(error / norm),
    };
  });
}

/** What becomes of the layer's regularizer and constraint. */
function rulesOf(graph: ModelGraph, layer: string, stored: readonly NewlyStored[]): string[] {
  const entry = graph.topology.config.layers.find(({ name }) => name === layer)!;
  const trains = matrixPlaces(graph, entry).some(({ matrix, shape, storage }) => {
    const config = stored.find(({ place }) => place.matrix === matrix)?.config ?? storage;
    return storageOf(matrix, shape, config).weights.some(({ trainable }) => trainable);
  });
  return describeRules(entry, trains);
}

function bytesOf({ weights }: ModelGraph, layer: string): number {
  return Object.entries(weights)
    .filter(([path]) => isWeightOf(layer, path))
    .reduce((sum, [, value]) => sum + tensorBytes(value), 0);
}

function tensorBytes({ size, dtype }: tf.Tensor): number {
  return size * tf.util.bytesPerElement(dtype);
}

function sumOf(stored: readonly NewlyStored[], key: 'error' | 'norm'): number {
  return stored.reduce((sum, each) => sum + each[key], 0);
}

/** `u0, u1: 8 bits, a scale per column; basis: …`. */
function describe(stored: readonly NewlyStored[]): string {
  const different = [...new Set(stored.map(({ what }) => what))];
  const namesOf = (what: string) =>
    stored.filter((each) => each.what === what).map(({ place }) => place.matrix);
  return different.map((what) => `${namesOf(what).join(', ')}: ${what}`).join('; ');
}
