import { EspalierError } from '@espalier/base';
import type { EndsInActivation, HasPlainLayer, PlainLayer } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { penalizeMatrix, readRules } from './penalties.js';
import type { WrittenRules } from './penalties.js';
import type { RowDecoder } from './row-decoder.js';
import { StoredEmbedding } from './stored-layers.js';
import type { StoredMatrix } from './stored-matrix.js';

type Activation = EndsInActivation['activation'];
type Layer = tfl.layers.Layer;
type Shape = (number | null)[];
type Variable = Layer['weights'][number];
type Applied = ReturnType<Layer['apply']>;

/** Configuration of {@link StoredTiedDense}: that of a dense layer. */
export type StoredTiedDenseConfig = Parameters<typeof tfl.layers.dense>[0];

/**
 * `tf.layers.dense` over the matrix of a {@link StoredEmbedding} that `shares` it, one unit for each word: its inputs are
 * `[batch, …, outputDim]` and the embedding's second output. Only the bias is its own.
 *
 * @example
 * const shared = new StoredEmbedding({ inputDim: 1000, outputDim: 16, shares: true, storage });
 * const [embedded, handle] = shared.apply(ids);
 * const logits = new StoredTiedDense({ units: 1000 }).apply([hidden, handle]);
 */
export class StoredTiedDense
  extends tfl.layers.Layer
  implements EndsInActivation, HasPlainLayer, RowDecoder
{
  static readonly className = 'StoredTiedDense';
  readonly endsInActivation = true;
  readonly #plain: Layer;
  #source: StoredEmbedding | undefined;
  #bias: Variable | undefined;

  constructor(private readonly given: StoredTiedDenseConfig) {
    super(given as ConstructorParameters<typeof tfl.layers.Layer>[0]);
    this.#plain = tfl.layers.dense(given);
    this.supportsMasking = true;
  }

  get activation(): Activation {
    return (this.#plain as unknown as EndsInActivation).activation;
  }
  set activation(activation: Activation) {
    (this.#plain as unknown as EndsInActivation).activation = activation;
  }

  /** The embedding's matrix, a row for each unit; there once the layer is part of a model. */
  get matrix(): StoredMatrix {
    return this.#source!.matrix;
  }

  /** @throws EspalierError `storage/tied` where the second input is not of an embedding that shares its matrix. */
  override apply(inputs: Tensor[], kwargs?: Parameters<Layer['apply']>[1]): Applied {
    const [, handle] = inputs as unknown as tfl.SymbolicTensor[];
    if (handle instanceof tfl.SymbolicTensor) this.#source = findSource(handle, this.given.units);
    return super.apply(inputs, kwargs);
  }

  override build(shape: Shape | Shape[]): void {
    super.build(shape);
    const rules = readRules(this.given as WrittenRules);
    const { kernelRegularizer, biasRegularizer, biasConstraint } = rules;
    penalizeMatrix(this, kernelRegularizer, {
      parts: [this.matrix],
      decode: () => tf.transpose(this.matrix.all()),
    });
    if (this.given.useBias === false) return;
    const { biasInitializer } = this.#plain as unknown as {
      biasInitializer: Parameters<Layer['addWeight']>[3];
    };
    this.#bias = this.addWeight(
      'bias',
      [this.given.units],
      'float32',
      biasInitializer,
      biasRegularizer ?? undefined,
      true,
      biasConstraint ?? undefined,
    );
  }

  override computeOutputShape([x]: Shape[]): Shape {
    return [...x!.slice(0, -1), this.given.units];
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    return tf.tidy(() => {
      const [x] = inputs as Tensor[];
      const flat = tf.reshape(x!, [-1, x!.shape.at(-1)!]) as Tensor2D;
      const shape = [...x!.shape.slice(0, -1), this.given.units];
      return this.activation.apply(tf.reshape(this.scores(flat), shape));
    });
  }

  /** What the activation is given: products of `x` `[n, outputDim]` with each row, with the bias, `[n, units]`. */
  scores(x: Tensor2D): Tensor2D {
    return tf.tidy(() => {
      const scores = this.matrix.scores(x);
      return this.#bias ? tf.add(scores, this.#bias.read()) : scores;
    });
  }

  override computeMask(_: Tensor | Tensor[], mask?: Tensor | Tensor[]): Tensor {
    return (Array.isArray(mask) ? mask[0] : mask)!;
  }

  /** Rows by unit `[n]`: float32 `[n, outputDim]`; only those are decoded. */
  decodeRows(ids: Tensor1D): Tensor2D {
    return this.matrix.gather(ids);
  }

  /** Multiply-accumulate operations per example. */
  macs(_: unknown, outputShape: Shape): number {
    const outputs = outputShape.slice(1).reduce<number>((size, n) => size * (n ?? 1), 1);
    return outputs * this.matrix.shape[1];
  }

  /** The matrix is decoded twice: a plain dense layer has one of its own. */
  plainLayer(): PlainLayer {
    const kernel = tf.transpose(this.matrix.all());
    const weights = { kernel, ...(this.#bias && { bias: this.#bias.read() }) };
    return { className: 'Dense', config: this.getConfig(), weights, inputs: 1 };
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...this.#plain.getConfig(), ...super.getConfig() };
  }
}

function findSource({ sourceLayer }: tfl.SymbolicTensor, units: number): StoredEmbedding {
  if (sourceLayer instanceof StoredEmbedding && sourceLayer.matrix.shape[0] === units) {
    return sourceLayer;
  }
  throw new EspalierError('storage/tied', {
    problem: `a StoredTiedDense of ${units} units takes the second output of a StoredEmbedding of ${units} words, whose matrix it uses`,
    received: sourceLayer?.getClassName(),
    fix: 'Pass [hidden, handle] with the handle that the embedding gives with shares: true.',
  });
}
