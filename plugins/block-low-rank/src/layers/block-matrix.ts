import { addStoredWeight, StoredMatrix } from '@espalier/compression';
import type { StorageConfig } from '@espalier/compression';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { layers } from '@tensorflow/tfjs-layers';
import { countBasisRows, placeBlocks } from '../maths/blocks.js';
import type { Block, PlacedBlock } from '../maths/blocks.js';
import { takeColumns } from './take-columns.js';

/** How a layer's matrix is cut into blocks, as plain JSON. */
export interface BlockMatrixConfig {
  readonly blocks: readonly Block[];
  /** Whether rows are in another order than word ids; then the layer has a weight `index`. */
  readonly permuted?: boolean;
  /** How each matrix is stored, by its name; default: float32. */
  readonly storage?: Readonly<Record<string, StorageConfig>>;
}

/** What is asked of a stored matrix. */
type Rows = Pick<StoredMatrix, 'gather' | 'slice' | 'all'>;

interface Parts {
  readonly rows: readonly Rows[];
  readonly basis?: Rows | undefined;
  /** Position of each word among the rows, block after block; `[words]`, int32. */
  readonly index?: (() => Tensor1D) | undefined;
}

/**
 * A matrix `[words, columns]` as blocks `U_p B_p`, where `B_p` are rows of a common basis
 * `[sum of ranks, columns]` (`V_pᵀ` of the paper, one below the other), or dense ones. Rows are named
 * by word id. Used inside `tf.tidy`.
 */
export class BlockMatrix {
  readonly words: number;
  readonly blocks: readonly PlacedBlock[];

  /** What of it is stored in its layer. */
  readonly stored: readonly StoredMatrix[];

  private constructor(
    readonly columns: number,
    { blocks }: BlockMatrixConfig,
    private readonly parts: Parts,
  ) {
    this.stored = [...parts.rows, ...(parts.basis ? [parts.basis] : [])].filter(
      (each) => each instanceof StoredMatrix,
    );
    this.blocks = placeBlocks(blocks);
    this.words = wordsIn(blocks);
  }

  /** Adds the weights `u0` (or `w0` of a dense block), …, `basis` and perhaps `index` to a layer. */
  static ofLayer(layer: layers.Layer, columns: number, config: BlockMatrixConfig): BlockMatrix {
    const { blocks, permuted, storage = {} } = config;
    const rows = placeBlocks(blocks).map(({ matrix, rows, rank }) => {
      return new StoredMatrix(layer, matrix, [rows, rank ?? columns], storage[matrix]);
    });
    const rank = countBasisRows(blocks);
    const basis =
      rank > 0 ? new StoredMatrix(layer, 'basis', [rank, columns], storage['basis']) : undefined;
    const index = permuted ? addIndex(layer, wordsIn(blocks)) : undefined;
    return new BlockMatrix(columns, config, { rows, basis, index });
  }

  /** The matrix that {@link decode} tensors of another one hold. */
  static ofTensors(
    tensors: readonly Tensor[],
    columns: number,
    config: BlockMatrixConfig,
  ): BlockMatrix {
    const { blocks, permuted } = config;
    const rest = tensors.slice(blocks.length);
    const rows = tensors.slice(0, blocks.length).map((tensor) => wrapRows(tensor as Tensor2D));
    const basis = countBasisRows(blocks) > 0 ? wrapRows(rest.shift() as Tensor2D) : undefined;
    // The executor of tfjs hands every tensor on as float32.
    const index = permuted ? () => tf.cast(rest[0]!, 'int32') as Tensor1D : undefined;
    return new BlockMatrix(columns, config, { rows, basis, index });
  }

  /** The whole matrix `[words, columns]`, decoded, in the order of word ids. */
  whole(): Tensor2D {
    return this.lookup(tf.range(0, this.words, 1, 'int32') as Tensor1D);
  }

  /** All that the matrix consists of: rows of every block, the basis if any, the index if any. */
  decode(): Tensor[] {
    const { rows, basis, index } = this.parts;
    const matrices = [...rows, ...(basis ? [basis] : [])].map((each): Tensor => each.all());
    // Clones: the executor of tfjs disposes what a layer gives, and `all` may give the weight itself.
    return [...matrices, ...(index ? [index()] : [])].map((each) => tf.clone(each));
  }

  /** Position of each word among the rows, where they are not in word order. */
  get index(): Tensor1D | undefined {
    return this.parts.index?.();
  }

  /** Rows of word ids `[n]`, int32: float32 `[n, columns]`. Only those rows are decoded. */
  lookup(ids: Tensor1D): Tensor2D {
    const { basis, index } = this.parts;
    const positions = index ? tf.gather(index(), ids) : ids;
    const found = this.blocks.map((block, p) => this.#rowsIn(block, p, positions));
    const dense = found.filter((_, p) => this.blocks[p]!.rank === null);
    if (!basis) return sum(dense);
    const low = found.filter((_, p) => this.blocks[p]!.rank !== null);
    return sum([...dense, tf.matMul(concatColumns(low), basis.all())]);
  }

  /** Products of `x` `[n, columns]` with every row, by word id: `[n, words]`. */
  scores(x: Tensor2D): Tensor2D {
    const factors = this.#leftFactors(x);
    const all = this.blocks.map(({ rows }, p) =>
      tf.matMul<Tensor2D>(factors[p]!, this.sliceRows(p, 0, rows), false, true),
    );
    const { index } = this.parts;
    return index ? takeColumns(concatColumns(all), index()) : concatColumns(all);
  }

  /** The common basis `[sum of ranks, columns]`, decoded. */
  basis(): Tensor2D | undefined {
    return this.parts.basis?.all();
  }

  /** `size` rows of block `p` from its row `begin` on, decoded: `[size, rank or columns]`. */
  sliceRows(p: number, begin: number, size: number): Tensor2D {
    return this.parts.rows[p]!.slice(begin, size);
  }

  /** What each block's rows are multiplied with: its part of `x Bᵀ` `[n, rank]`, `x` for a dense one. */
  #leftFactors(x: Tensor2D): readonly Tensor2D[] {
    const basis = this.basis();
    if (!basis) return this.blocks.map(() => x);
    const ranks = this.blocks.flatMap(({ rank }) => rank ?? []);
    const coefficients = tf.matMul(x, basis, false, true);
    const split = ranks.length === 1 ? [coefficients] : tf.split(coefficients, ranks, 1);
    const parts = (split as Tensor2D[]).values();
    return this.blocks.map(({ rank }) => (rank === null ? x : parts.next().value!));
  }

  /** A block's rows at positions; zeros where the position lies in another block. */
  #rowsIn({ begin, rows }: PlacedBlock, p: number, positions: Tensor1D): Tensor2D {
    const part = this.parts.rows[p]!;
    if (this.blocks.length === 1) return part.gather(positions);
    const local = tf.sub(positions, tf.scalar(begin, 'int32'));
    const capped = tf.minimum(local, tf.scalar(rows - 1, 'int32'));
    const within = tf.maximum(capped, tf.scalar(0, 'int32')) as Tensor1D;
    const inside = tf.cast(tf.equal(local, within), 'float32');
    return tf.mul(part.gather(within), tf.expandDims(inside, 1));
  }
}

function wordsIn(blocks: readonly Block[]): number {
  return blocks.reduce((sum, { rows }) => sum + rows, 0);
}

function addIndex(layer: layers.Layer, words: number): () => Tensor1D {
  const spec = { name: 'index', shape: [words], dtype: 'int32', trainable: false } as const;
  const variable = addStoredWeight(layer, spec);
  return () => variable.read() as Tensor1D;
}

function wrapRows(tensor: Tensor2D): Rows {
  return {
    gather: (rows) => tf.gather(tensor, rows),
    slice: (begin, size) => tf.slice2d(tensor, [begin, 0], [size, tensor.shape[1]]),
    all: () => tensor,
  };
}

function concatColumns(parts: readonly Tensor2D[]): Tensor2D {
  return parts.length === 1 ? parts[0]! : tf.concat2d([...parts], 1);
}

function sum(parts: readonly Tensor2D[]): Tensor2D {
  return parts.length === 1 ? parts[0]! : tf.addN([...parts]);
}
