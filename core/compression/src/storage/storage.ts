import { EspalierError, suggest } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';

/** The shape of a matrix. */
export type MatrixShape = readonly [rows: number, columns: number];

/** How a matrix is kept, as plain JSON; `kind` names who can read it. */
export interface StorageConfig {
  /** The kind under which {@link registerStorage} made it known. */
  readonly kind: string;
  readonly [option: string]: unknown;
}

/** One weight of a layer that holds a part of a matrix: its numbers, its codes, its scales. */
export interface StoredWeight {
  /** Name of the weight in the layer. */
  readonly name: string;
  /** Its shape. */
  readonly shape: readonly number[];
  /** Type of its elements. */
  readonly dtype: 'float32' | 'int32';
  /** Whether the optimizer changes it. */
  readonly trainable: boolean;
}

/** Reads a weight of the layer by name; live, so that substituted parameters are seen. */
export type ReadWeight = (name: string) => Tensor;

/**
 * How a layer keeps a matrix `[rows, columns]` and gets float32 numbers out of it. It holds no
 * tensors: those are the layer's weights, which {@link ReadWeight} gives.
 */
export interface MatrixStorage {
  /** The configuration that it was made from, with defaults. */
  readonly config: StorageConfig;
  /** The weights that hold the matrix `name`: all their names begin with it. */
  readonly weights: readonly StoredWeight[];
  /** Rows by number `[n]` as float32 `[n, columns]`; only those rows are decoded. */
  gather(read: ReadWeight, rows: Tensor1D): Tensor2D;
  /** `size` rows from `begin` on as float32 `[size, columns]`. */
  slice(read: ReadWeight, begin: number, size: number): Tensor2D;
  /**
   * Products of each `x` `[n, columns]` with each row: `[n, rows]`. Only where this is faster than
   * decoding the matrix and multiplying.
   */
  scores?(read: ReadWeight, x: Tensor2D): Tensor2D;
  /** `x` `[n, rows]` times the matrix: `[n, columns]`. Only where this is faster. */
  multiply?(read: ReadWeight, x: Tensor2D): Tensor2D;
}

/** Makes the storage of matrix `name` from its configuration. */
export type StorageFactory = (
  name: string,
  shape: MatrixShape,
  config: StorageConfig,
) => MatrixStorage;

/** Plain float32 numbers, trainable: how every matrix starts. */
export const FLOAT32: StorageConfig = { kind: 'float32' };

const factories = new Map<string, StorageFactory>([[FLOAT32.kind, float32]]);

/**
 * Makes a kind of storage known, so that layers that use it can be built; a second call replaces it.
 *
 * @example
 * registerStorage('float32', (name, shape) => createFloat32Storage(name, shape));
 */
export function registerStorage(kind: string, factory: StorageFactory): void {
  factories.set(kind, factory);
}

/**
 * The storage of one matrix of a layer.
 *
 * @throws EspalierError `storage/unknown` for a kind that no imported package has registered.
 * @example
 * const storage = createStorage('u0', [2000, 23], { kind: 'float32' });
 * storage.weights; // [{ name: 'u0', shape: [2000, 23], dtype: 'float32', trainable: true }]
 */
export function createStorage(
  name: string,
  shape: MatrixShape,
  config: StorageConfig = FLOAT32,
): MatrixStorage {
  const factory = factories.get(config?.kind);
  if (factory) return factory(name, shape, config);
  throw new EspalierError('storage/unknown', {
    problem: `matrix '${name}' is stored in a way that no imported package knows`,
    received: config,
    fix: `${suggest(String(config?.kind), [...factories.keys()])} Import the plugin that made it, e.g. @espalier/plugin-quantizer.`,
  });
}

function float32(name: string, shape: MatrixShape): MatrixStorage {
  const [rows, columns] = shape;
  return {
    config: FLOAT32,
    weights: [{ name, shape, dtype: 'float32', trainable: true }],
    gather: (read, ids) => tf.gather(read(name), ids) as Tensor2D,
    slice(read, begin, size) {
      const whole = read(name) as Tensor2D;
      return size === rows ? whole : tf.slice2d(whole, [begin, 0], [size, columns]);
    },
  };
}
