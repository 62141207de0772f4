import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { takeColumns } from '../layers/take-columns.js';
import { pickColumns } from './block-products.js';
import { fakeCoefficients } from './fake-coefficients.js';
import type { CodedBlock } from './layout.js';
import type { TrainingLayout, TrainingPart } from './training-layout.js';

/** Rows of a matrix that trains for codes, as its codes would give them. Used inside `tf.tidy`. */
export class TrainedRows {
  constructor(
    private readonly training: TrainingLayout,
    private readonly part: (name: TrainingPart) => Tensor | undefined,
  ) {}

  /** Rows by number: `[n, columns]`. */
  gather(ids: Tensor1D): Tensor2D {
    const positions = this.#positions();
    const places = positions ? tf.gather(positions, ids) : ids;
    const { blocks, columns } = this.training.layout;
    const found = blocks
      .filter(({ directions }) => directions.length > 0)
      .map((block) => this.#gatherIn(block, places));
    return found.length > 0 ? tf.addN(found) : tf.zeros([ids.size, columns]);
  }

  /** `size` rows from `begin` on: `[size, columns]`. */
  slice(begin: number, size: number): Tensor2D {
    const positions = this.#positions();
    if (!positions) return this.#slicePlaces(begin, size);
    if (size < positions.size) return this.gather(tf.range(begin, begin + size, 1, 'int32'));
    return tf.gather(this.#slicePlaces(0, size), positions);
  }

  /** Products of each `x` `[n, columns]` with each row: `[n, rows]`. */
  scores(x: Tensor2D): Tensor2D {
    const { blocks } = this.training.layout;
    const scores = blocks.map((block) => this.#scoresIn(block, x));
    const all = scores.length === 1 ? scores[0]! : tf.concat2d(scores, 1);
    const positions = this.#positions();
    return positions ? takeColumns(all, positions) : all;
  }

  #positions(): Tensor1D | undefined {
    return this.part('positions') as Tensor1D | undefined;
  }

  /** Rows at places of a block; zeros where a place is in another one. */
  #gatherIn(block: CodedBlock, places: Tensor1D): Tensor2D {
    const local = tf.sub(places, int(block.begin));
    const within = tf.maximum<Tensor1D>(tf.minimum(local, int(block.rows - 1)), int(0));
    const inside = tf.cast(tf.equal(local, within), 'float32');
    const lengths = this.#lengths(block, 0, block.rows);
    const weights = lengths ? tf.mul(inside, tf.gather(lengths, within)) : inside;
    const unit = this.#coefficients(block, (own) => tf.gather(own, within));
    return tf.matMul(tf.mul<Tensor2D>(unit, tf.expandDims(weights, 1)), this.#directions(block));
  }

  /** Rows between two places. */
  #slicePlaces(begin: number, size: number): Tensor2D {
    const parts = this.training.layout.blocks.flatMap((block) => {
      const first = Math.max(begin, block.begin);
      const end = Math.min(begin + size, block.begin + block.rows);
      return first < end ? [this.#sliceIn(block, first - block.begin, end - first)] : [];
    });
    return parts.length === 1 ? parts[0]! : tf.concat2d(parts, 0);
  }

  #sliceIn(block: CodedBlock, from: number, size: number): Tensor2D {
    const count = block.directions.length;
    if (count === 0) return tf.zeros([size, this.training.layout.columns]);
    const unit = this.#coefficients(block, (own) => tf.slice2d(own, [from, 0], [size, count]));
    const decoded = tf.matMul<Tensor2D>(unit, this.#directions(block));
    const lengths = this.#lengths(block, from, size);
    return lengths ? tf.mul<Tensor2D>(decoded, tf.expandDims(lengths, 1)) : decoded;
  }

  #scoresIn(block: CodedBlock, x: Tensor2D): Tensor2D {
    if (block.directions.length === 0) return tf.zeros([x.shape[0], block.rows]);
    const projected = tf.matMul<Tensor2D>(x, this.#directions(block), false, true);
    const unit = this.#coefficients(block, (own) => own);
    const products = tf.matMul<Tensor2D>(projected, unit, false, true);
    const lengths = this.#lengths(block, 0, block.rows);
    return lengths ? tf.mul(products, lengths) : products;
  }

  /** Rounded coefficients of some rows of a block, for a length of 1: `[n, directions]`. */
  #coefficients(block: CodedBlock, take: (own: Tensor2D) => Tensor2D): Tensor2D {
    const { directions, pieces, rows } = block;
    const count = directions.length;
    const begin = this.training.begins[this.training.layout.blocks.indexOf(block)]!;
    const own = tf.slice1d(this.part('u') as Tensor1D, begin, rows * count);
    const scales = tf.slice1d(this.part('scales') as Tensor1D, directions[0]!.scale, count);
    return fakeCoefficients(
      take(tf.reshape(own, [rows, count])),
      scales,
      pieces,
      1 / Math.sqrt(rows),
    );
  }

  /** Lengths of rows of a block, where it has any: `[size]`. */
  #lengths({ begin, lengths }: CodedBlock, from: number, size: number): Tensor1D | undefined {
    if (!lengths) return undefined;
    return tf.slice1d(this.part('lengths') as Tensor1D, begin + from, size);
  }

  /** `[directions, columns]`. */
  #directions({ basis, directions }: CodedBlock): Tensor2D {
    const { columns } = this.training.layout;
    const targets = Int32Array.from(directions, ({ target }) => target);
    if (basis === 'none') return pickColumns(targets, columns);
    const all = tf.reshape(this.part('basis')!, [-1, columns]) as Tensor2D;
    return tf.gather(all, tf.tensor1d(targets, 'int32'));
  }
}

function int(value: number): Tensor {
  return tf.scalar(value, 'int32');
}
