import type { LayerEntry, ModelGraph } from '@espalier/core';
import { findRows } from './row-source.js';
import { FLOAT32 } from './storage.js';
import type { MatrixShape, StorageConfig } from './storage.js';

/** A matrix of a layer of a model, which can be stored otherwise. */
export interface StorableMatrix {
  /** Name of the layer. */
  readonly layer: string;
  /** Name of the matrix in the layer: `kernel`. */
  readonly matrix: string;
  /** `[rows, columns]`. */
  readonly shape: MatrixShape;
  /** How it is stored now. */
  readonly storage: StorageConfig;
  /** The class that the layer will be of. */
  readonly className: string;
}

/** The matrix of a plain layer, and the layer that keeps it in any storage. */
const PLAIN: Readonly<Record<string, Pick<StorableMatrix, 'matrix' | 'className'>>> = {
  Dense: { matrix: 'kernel', className: 'StoredDense' },
  Conv2D: { matrix: 'kernel', className: 'StoredConv2D' },
  Embedding: { matrix: 'embeddings', className: 'StoredEmbedding' },
};

/**
 * The matrices of a layer that still hold numbers, not codes: the matrix of a plain Dense, Conv2D or
 * Embedding layer (a convolution's kernel as `[height · width · channels, filters]`), or all matrices of a
 * layer whose configuration has `storage`.
 *
 * @example
 * const all = graph.topology.config.layers.flatMap((entry) => listMatrices(graph, entry));
 */
export function listMatrices(
  graph: ModelGraph,
  { name: layer, className, config }: LayerEntry,
): StorableMatrix[] {
  const plain = PLAIN[className];
  if (plain) {
    const { shape } = graph.weights[`${layer}/${plain.matrix}`]!;
    const rows = shape.slice(0, -1).reduce((a, b) => a * b, 1);
    return [{ ...plain, layer, shape: [rows, shape.at(-1)!], storage: FLOAT32 }];
  }
  const storages = readStorages({ config });
  if (!storages) return [];
  const streamed = Object.entries(storages).flatMap(([matrix, storage]) => {
    const source = findRows(storage);
    if (!source) return [];
    return [{ layer, matrix, shape: [source.rows, source.columns] as const, storage, className }];
  });
  if (streamed.length > 0) return streamed;
  return Object.entries(graph.weights)
    .filter(([path, { shape }]) => isOwnWeight(layer, path) && shape.length === 2)
    .map(([path, { shape }]) => {
      const matrix = path.slice(layer.length + 1);
      const storage = storages[matrix] ?? FLOAT32;
      return { layer, matrix, shape: shape as [number, number], storage, className };
    });
}

/**
 * Whether a plain layer's matrix, as in {@link listMatrices}, looks like one of words: an embedding's,
 * or a dense kernel `[inputs, units]` with twice as many units as inputs.
 *
 * @example
 * isWordMatrix({ className: 'Dense' }, [64, 10_000]); // true
 */
export function isWordMatrix(
  { className }: Pick<LayerEntry, 'className'>,
  [rows, columns]: MatrixShape,
): boolean {
  return (
    ['Embedding', 'StoredEmbedding'].includes(className) ||
    (className === 'Dense' && columns >= 2 * rows)
  );
}

/**
 * The storages of a layer by matrix; `undefined` where its configuration has none.
 *
 * @example
 * readStorages(entry); // { kernel: { kind: 'float32' } }
 */
export function readStorages({
  config,
}: Pick<LayerEntry, 'config'>): Readonly<Record<string, StorageConfig>> | undefined {
  return config['storage'] as Readonly<Record<string, StorageConfig>> | undefined;
}

/** Whether a path is of a weight of this layer itself. */
export function isOwnWeight(layer: string, path: string): boolean {
  return path.startsWith(`${layer}/`) && !path.slice(layer.length + 1).includes('/');
}
