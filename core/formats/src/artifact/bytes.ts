import { decodeSafetensors } from '@espalier/checkpoint';
import { isWordsFile, MANIFEST } from './manifest.js';

/** One weight as it is on disk. */
export interface StoredBytes {
  /** Path of the weight. */
  readonly name: string;
  /** Type of its elements in the file. */
  readonly dtype: string;
  /** Its shape. */
  readonly shape: readonly number[];
  /** Its bytes. */
  readonly bytes: number;
}

/** Where an artifact's bytes are: `total` is the sum of manifest, words, header and layers. */
export interface ArtifactBytes {
  /** All bytes of the artifact. */
  readonly total: number;
  /** Bytes of the manifest. */
  readonly manifest: number;
  /** Bytes of the words; 0 where there are none. */
  readonly words: number;
  /** Of the weights file: names, shapes and dtypes. */
  readonly header: number;
  /** The weights of each layer. */
  readonly layers: readonly {
    readonly layer: string;
    readonly bytes: number;
    readonly weights: readonly StoredBytes[];
  }[];
}

/**
 * Counts every byte of an artifact's files.
 *
 * @example
 * const { total, layers } = countBytes(await packArtifact({ model }));
 */
export function countBytes(files: ReadonlyMap<string, Uint8Array>): ArtifactBytes {
  const layers = new Map<string, StoredBytes[]>();
  let [total, manifest, words, header] = [0, 0, 0, 0];
  for (const [file, bytes] of files) {
    total += bytes.length;
    if (file === MANIFEST) manifest += bytes.length;
    else if (isWordsFile(file)) words += bytes.length;
    else header += bytes.length - addWeights(bytes, layers);
  }
  const counted = [...layers].map(([layer, weights]) => ({ layer, bytes: sum(weights), weights }));
  return { total, manifest, words, header, layers: counted };
}

/** Sorts the weights of a file under their layers; gives the bytes of their data. */
function addWeights(file: Uint8Array, layers: Map<string, StoredBytes[]>): number {
  const weights = [...decodeSafetensors(file).tensors].map(([path, { dtype, shape, data }]) => {
    const end = path.lastIndexOf('/');
    const weight = { name: path.slice(end + 1), dtype, shape, bytes: data.byteLength };
    const layer = path.slice(0, end);
    layers.set(layer, [...(layers.get(layer) ?? []), weight]);
    return weight;
  });
  return sum(weights);
}

function sum(weights: readonly StoredBytes[]): number {
  return weights.reduce((total, { bytes }) => total + bytes, 0);
}
