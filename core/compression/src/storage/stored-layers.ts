import type { EndsInActivation, HasPlainLayer, PlainLayer } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { penalizeMatrix } from './penalties.js';
import type { Regularizes } from './penalties.js';
import type { RowDecoder } from './row-decoder.js';
import type { MatrixShape, StorageConfig } from './storage.js';
import { StoredMatrix } from './stored-matrix.js';
import type { Constrains } from './stored-matrix.js';

type Activation = EndsInActivation['activation'];
type Layer = tfl.layers.Layer;
type Shape = (number | null)[];
type Variable = Layer['weights'][number];

/** What the configuration of a plain layer gains. */
export interface StoredConfig {
  readonly storage?: Readonly<Record<string, StorageConfig>>;
}

/** The part of a dense or convolutional layer that stays as it was; protected in tfjs. */
interface Biased {
  readonly useBias: boolean;
  activation: Activation;
  readonly biasInitializer: Parameters<Layer['addWeight']>[3];
  readonly biasRegularizer: Parameters<Layer['addWeight']>[4];
  readonly biasConstraint: Parameters<Layer['addWeight']>[6];
}

/**
 * A layer that keeps one matrix in whatever storage its configuration names and is in all else the
 * plain layer: same configuration, shapes, masks, bias, activation.
 */
abstract class StoredLayer<P extends Layer> extends tfl.layers.Layer implements HasPlainLayer {
  readonly #storage: Readonly<Record<string, StorageConfig>>;
  #matrix: StoredMatrix | undefined;

  constructor(
    config: StoredConfig,
    protected readonly plain: P,
    private readonly matrixName: string,
  ) {
    super(config as ConstructorParameters<typeof tfl.layers.Layer>[0]);
    this.#storage = config.storage ?? {};
    this.supportsMasking = plain.supportsMasking;
  }

  /** The decoded matrix's source; there once the layer is built. */
  get matrix(): StoredMatrix {
    return this.#matrix!;
  }

  /** The plain layer over the decoded matrix. */
  plainLayer(): PlainLayer {
    const config = { ...this.getConfig(), storage: undefined };
    const weights = { [this.matrixName]: tf.reshape(this.matrix.all(), [...this.plainShape()]) };
    return { className: this.plain.getClassName(), config, weights };
  }

  protected abstract shapeOfMatrix(inputShape: Shape): MatrixShape;

  override build(inputShape: Shape | Shape[]): void {
    super.build(inputShape);
    const [first] = inputShape;
    const shape = this.shapeOfMatrix((Array.isArray(first) ? first : inputShape) as Shape);
    const name = this.matrixName;
    this.#matrix = new StoredMatrix(
      this,
      name,
      shape,
      this.#storage[name],
      this.#constraint(shape),
    );
    const parts = [this.#matrix];
    penalizeMatrix(this, this.#rule<Regularizes>('Regularizer'), {
      parts,
      decode: () => tf.reshape(this.matrix.all(), [...this.plainShape()]),
    });
    this.built = true;
  }

  /** The shape in which the plain layer holds the matrix. */
  protected plainShape(): readonly number[] {
    return this.matrix.shape;
  }

  /** The plain layer's constraint, for a matrix `[rows, columns]`. */
  #constraint(shape: MatrixShape): Constrains | undefined {
    const constraint = this.#rule<Constrains>('Constraint');
    if (!constraint) return undefined;
    const plain = (x: Tensor) => tf.reshape(x, [...this.plainShape()]);
    return { apply: (x) => tf.tidy(() => tf.reshape(constraint.apply(plain(x)), [...shape])) };
  }

  /** What the plain layer's configuration says of the matrix. */
  #rule<R>(kind: 'Regularizer' | 'Constraint'): R | null | undefined {
    return (this.plain as unknown as Record<string, R | null>)[`${this.matrixName}${kind}`];
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape | Shape[] {
    return this.plain.computeOutputShape(inputShape);
  }

  override computeMask(inputs: Tensor | Tensor[], mask?: Tensor | Tensor[]): Tensor | Tensor[] {
    return this.plain.computeMask(inputs, mask);
  }

  override getConfig(): tf.serialization.ConfigDict {
    const storage = this.#storage as unknown as tf.serialization.ConfigDict;
    return { ...this.plain.getConfig(), ...super.getConfig(), storage };
  }
}

/** Adds what dense and convolutional layers have beside the kernel. */
export abstract class StoredKernel<P extends Layer>
  extends StoredLayer<P>
  implements EndsInActivation
{
  readonly endsInActivation = true;
  #bias: Variable | undefined;

  get activation(): Activation {
    return this.biased.activation;
  }
  set activation(activation: Activation) {
    this.biased.activation = activation;
  }

  override build(inputShape: Shape | Shape[]): void {
    super.build(inputShape);
    const { useBias, biasInitializer, biasRegularizer, biasConstraint } = this.biased;
    if (!useBias) return;
    const shape = [this.matrix.shape[1]];
    const [init, regularizer] = [biasInitializer, biasRegularizer];
    this.#bias = this.addWeight('bias', shape, 'float32', init, regularizer, true, biasConstraint);
  }

  override plainLayer(): PlainLayer {
    const { weights, ...rest } = super.plainLayer();
    return { ...rest, weights: { ...weights, ...(this.#bias && { bias: this.#bias.read() }) } };
  }

  /** Multiply-accumulate operations per example; see `countMacs` of the model package. */
  macs(_: readonly (number | null)[], outputShape: readonly (number | null)[]): number {
    const outputs = outputShape.slice(1).reduce<number>((size, n) => size * (n ?? 1), 1);
    return outputs * this.matrix.shape[0];
  }

  /** `[…, units]` with the bias, if there is one. */
  protected addBias(product: Tensor): Tensor {
    return this.#bias ? tf.add(product, this.#bias.read()) : product;
  }

  private get biased(): Biased {
    return this.plain as unknown as Biased;
  }
}

type DenseConfig = Parameters<typeof tfl.layers.dense>[0];
type EmbeddingConfig = Parameters<typeof tfl.layers.embedding>[0];

/** Configuration of {@link StoredDense}: that of a dense layer, and the storage of `kernel`. */
export type StoredDenseConfig = DenseConfig & StoredConfig;
/** Configuration of {@link StoredEmbedding}; the matrix is `embeddings`. */
export type StoredEmbeddingConfig = EmbeddingConfig &
  StoredConfig & {
    /** Whether it has a second output, for a `StoredTiedDense` that uses its matrix. */
    readonly shares?: boolean;
  };

/**
 * `tf.layers.dense` over a kernel `[inputs, units]` in any storage, decoded in every call.
 *
 * @example
 * new StoredDense({ units: 10, storage: { kernel: { kind: 'float32' } } });
 */
export class StoredDense extends StoredKernel<Layer> implements RowDecoder {
  static readonly className = 'StoredDense';

  constructor(private readonly config: StoredDenseConfig) {
    super(config, tfl.layers.dense(config), 'kernel');
  }

  protected override shapeOfMatrix(inputShape: Shape): MatrixShape {
    return [inputShape.at(-1)!, this.config.units];
  }

  /** Columns of the kernel by unit `[n]`: float32 `[n, inputs]`; the whole kernel is decoded. */
  decodeRows(ids: Tensor1D): Tensor2D {
    return tf.transpose(tf.gather(this.matrix.all(), ids, 1));
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    return tf.tidy(() => {
      const x = only(inputs);
      const flat = tf.reshape(x, [-1, x.shape.at(-1)!]) as Tensor2D;
      const shape = [...x.shape.slice(0, -1), this.config.units];
      return this.activation.apply(tf.reshape(this.scores(flat), shape));
    });
  }

  /** What the activation is given: `x` `[n, inputs]` times the kernel, with the bias, `[n, units]`. */
  scores(x: Tensor2D): Tensor2D {
    return tf.tidy(() => this.addBias(this.matrix.multiply(x)) as Tensor2D);
  }
}

/**
 * `tf.layers.embedding` over rows `[words, outputDim]` in any storage; decodes the rows looked up.
 *
 * @example
 * new StoredEmbedding({ inputDim: 1000, outputDim: 16, storage: { embeddings: { kind: 'float32' } } });
 */
export class StoredEmbedding extends StoredLayer<Layer> implements RowDecoder {
  static readonly className = 'StoredEmbedding';

  constructor(private readonly config: StoredEmbeddingConfig) {
    super(config, tfl.layers.embedding(config), 'embeddings');
  }

  protected override shapeOfMatrix(): MatrixShape {
    return [this.config.inputDim, this.config.outputDim];
  }

  /** It looks up. */
  macs(): number {
    return 0;
  }

  /** Rows by word id `[n]`: float32 `[n, outputDim]`; only those are decoded. */
  decodeRows(ids: Tensor1D): Tensor2D {
    return this.matrix.gather(ids);
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape | Shape[] {
    const embedded = super.computeOutputShape(inputShape) as Shape;
    return this.config.shares ? [embedded, [1]] : embedded;
  }

  override call(inputs: Tensor | Tensor[]): Tensor | Tensor[] {
    return tf.tidy(() => {
      const ids = only(inputs);
      const flat = tf.cast(tf.reshape(ids, [-1]), 'int32') as Tensor1D;
      const embedded = tf.reshape(this.matrix.gather(flat), [...ids.shape, this.config.outputDim]);
      return this.config.shares ? [embedded, tf.zeros([1])] : embedded;
    });
  }

  override plainLayer(): PlainLayer {
    const { config, ...rest } = super.plainLayer();
    return { ...rest, config: { ...config, shares: undefined } };
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { shares } = this.config;
    return { ...super.getConfig(), ...(shares && { shares }) };
  }
}

export function only(inputs: Tensor | Tensor[]): Tensor {
  return Array.isArray(inputs) ? inputs[0]! : inputs;
}
