import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { createStorage } from './storage.js';
import type { MatrixShape, MatrixStorage, StorageConfig } from './storage.js';

type Layer = tfl.layers.Layer;
type LayerVariable = Layer['weights'][number];

/** What keeps a weight within bounds after each update. */
export interface Constrains {
  /** The weight as it may be. */
  apply(value: Tensor): Tensor;
}

/** The part of a layer that adds weights; protected in tfjs, meant for subclasses. */
interface AddsWeights {
  addWeight(
    name: string,
    shape: readonly number[],
    dtype: 'float32' | 'int32',
    initializer: unknown,
    regularizer: undefined,
    trainable: boolean,
    constraint?: Constrains,
  ): LayerVariable;
}

/**
 * A matrix `[rows, columns]` among a layer's weights, however it is stored. Made in `build`; used
 * in `call`, inside `tf.tidy`.
 *
 * @example
 * this.kernel = new StoredMatrix(this, 'kernel', [inputs, units], config.storage?.kernel);
 */
export class StoredMatrix {
  readonly #storage: MatrixStorage;
  readonly #weights: ReadonlyMap<string, LayerVariable>;

  constructor(
    layer: Layer,
    name: string,
    readonly shape: MatrixShape,
    config?: StorageConfig,
    /** Holds for the numbers themselves, where the storage has them: as the weight `name`. */
    constraint?: Constrains,
  ) {
    this.#storage = createStorage(name, shape, config);
    this.#weights = new Map(
      this.#storage.weights.map((weight) => {
        const own = weight.name === name ? constraint : undefined;
        return [weight.name, addStoredWeight(layer, weight, own)];
      }),
    );
  }

  /** Whether a weight of its storage trains. */
  get trains(): boolean {
    return this.#storage.weights.some(({ trainable }) => trainable);
  }

  /** Rows by number: float32 `[n, columns]`. Only those rows are decoded. */
  gather(rows: Tensor1D): Tensor2D {
    return this.#storage.gather(this.#read, rows);
  }

  /** `size` rows from `begin` on: float32 `[size, columns]`. */
  slice(begin: number, size: number): Tensor2D {
    return this.#storage.slice(this.#read, begin, size);
  }

  /** Products of each `x` `[n, columns]` with each row: `[n, rows]`. */
  scores(x: Tensor2D): Tensor2D {
    return this.#storage.scores?.(this.#read, x) ?? tf.matMul(x, this.all(), false, true);
  }

  /** `x` `[n, rows]` times the matrix: `[n, columns]`. */
  multiply(x: Tensor2D): Tensor2D {
    return this.#storage.multiply?.(this.#read, x) ?? tf.matMul(x, this.all());
  }

  /** The whole matrix, decoded. */
  all(): Tensor2D {
    return this.slice(0, this.shape[0]);
  }

  readonly #read = (name: string) => this.#weights.get(name)!.read();
}

/**
 * Adds a weight to a layer: a float weight starts at random values, an integer weight at zero.
 *
 * @example
 * addStoredWeight(this, { name: 'scale', shape: [1, 10], dtype: 'float32', trainable: true });
 */
export function addStoredWeight(
  layer: Layer,
  { name, shape, dtype, trainable }: MatrixStorage['weights'][number],
  constraint?: Constrains,
): LayerVariable {
  const initializer =
    dtype === 'float32' ? tfl.initializers.glorotUniform({}) : tfl.initializers.zeros();
  const adds = layer as unknown as AddsWeights;
  return adds.addWeight(name, [...shape], dtype, initializer, undefined, trainable, constraint);
}
