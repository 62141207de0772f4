import {
  arrayTypeOf,
  countElements,
  decodeSafetensors,
  measureSafetensorsHeader,
  sortByWidth,
} from '@espalier/checkpoint';
import type { DescribedTensor } from '@espalier/checkpoint';
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
  let tensors: readonly DescribedTensor[] = [];
  const sizes = { manifest: 0, words: 0, header: 0 };
  for (const [file, bytes] of files) {
    if (file === MANIFEST) sizes.manifest += bytes.length;
    else if (isWordsFile(file)) sizes.words += bytes.length;
    else {
      tensors = [...decodeSafetensors(bytes).tensors].map(([name, each]) => ({ name, ...each }));
      sizes.header += measureSafetensorsHeader(bytes, bytes.length);
    }
  }
  return sumTensors(tensors, sizes);
}

/** Sorts weights under their layers, and adds all bytes up. */
export function sumTensors(
  tensors: readonly DescribedTensor[],
  { manifest, words, header }: Pick<ArtifactBytes, 'header' | 'manifest' | 'words'>,
): ArtifactBytes {
  const layers = new Map<string, StoredBytes[]>();
  for (const tensor of sortByWidth(tensors)) {
    const { name: path, dtype, shape } = tensor;
    const end = path.lastIndexOf('/');
    const weight = { name: path.slice(end + 1), dtype, shape, bytes: countTensorBytes(tensor) };
    const layer = path.slice(0, end);
    layers.set(layer, [...(layers.get(layer) ?? []), weight]);
  }
  const counted = [...layers].map(([layer, weights]) => ({ layer, bytes: sum(weights), weights }));
  const total = manifest + words + header + sum(counted);
  return { total, manifest, words, header, layers: counted };
}

/** Bytes of a tensor's data. */
export function countTensorBytes({ dtype, shape }: DescribedTensor): number {
  return countElements(shape) * arrayTypeOf(dtype).BYTES_PER_ELEMENT;
}

function sum(parts: readonly { readonly bytes: number }[]): number {
  return parts.reduce((total, { bytes }) => total + bytes, 0);
}
