import { penalizeMatrix, readRules } from '@espalier/compression';
import type { RowDecoder, WrittenRule, WrittenRules } from '@espalier/compression';
import type { EndsInActivation, HasPlainLayer, PlainLayer } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { countBasisRows, placeBlocks } from '../maths/blocks.js';
import { BlockMatrix } from './block-matrix.js';
import type { BlockMatrixConfig } from './block-matrix.js';

type Shape = (number | null)[];
type Activation = EndsInActivation['activation'];
type LayerArguments = ConstructorParameters<typeof tfl.layers.Layer>[0];
type Variable = tfl.layers.Layer['weights'][number];

/** Configuration of {@link BlockLowRankEmbedding}. */
export interface BlockLowRankEmbeddingConfig extends BlockMatrixConfig {
  readonly name?: string;
  /** Default true. */
  readonly trainable?: boolean;
  /** Size of a word's vector. */
  readonly outputDim: number;
  /** As in `tf.layers.embedding`: id 0 is padding. */
  readonly maskZero?: boolean;
  /** As `tf.layers.embedding` writes it into its configuration; acts on the decoded matrix. */
  readonly embeddingsRegularizer?: WrittenRule;
  /** That of a dense layer which shares the factors; acts on the decoded matrix, transposed. */
  readonly kernelRegularizer?: WrittenRule;
  /** Whether it hands its factors on, as further outputs, to a {@link BlockLowRankTiedDense}. */
  readonly shares?: boolean;
}

/**
 * An embedding whose matrix `[words, outputDim]` is kept block by block in low rank: word ids
 * `[batch, …]` → `[batch, …, outputDim]`. Word ids are those of the layer that it replaces.
 *
 * @see GroupReduce, Chen et al. 2018, arXiv 1806.06950, section 3.
 * @example
 * const layer = new BlockLowRankEmbedding({
 *   outputDim: 200,
 *   blocks: [{ rows: 2000, rank: 85 }, { rows: 8000, rank: 4 }],
 * });
 */
export class BlockLowRankEmbedding extends tfl.layers.Layer implements RowDecoder, HasPlainLayer {
  static className = 'BlockLowRankEmbedding';
  #matrix: BlockMatrix | undefined;

  constructor(private readonly given: BlockLowRankEmbeddingConfig) {
    super(given as LayerArguments);
    this.supportsMasking = given.maskZero ?? false;
  }

  /** The matrix, one row per word; there once the layer is built. */
  get matrix(): BlockMatrix {
    return this.#matrix!;
  }

  /** Rows by word id `[n]`: float32 `[n, outputDim]`; only those are decoded. */
  decodeRows(ids: Tensor1D): Tensor2D {
    return this.matrix.lookup(ids);
  }

  /** `tf.layers.embedding` of the decoded matrix. */
  plainLayer(): PlainLayer {
    const { outputDim, maskZero = false, embeddingsRegularizer = null } = this.given;
    const own = { inputDim: this.matrix.words, outputDim, maskZero, embeddingsRegularizer };
    const config = { ...super.getConfig(), ...own };
    return { className: 'Embedding', config, weights: { embeddings: this.matrix.whole() } };
  }

  override build(shape: Shape | Shape[]): void {
    super.build(shape);
    this.#matrix = BlockMatrix.ofLayer(this, this.given.outputDim, this.given);
    const { embeddingsRegularizer = null, kernelRegularizer = null } = this.given;
    penalizeWhole(this, this.matrix, embeddingsRegularizer, (whole) => whole);
    penalizeWhole(this, this.matrix, kernelRegularizer, (whole) => tf.transpose(whole));
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape | Shape[] {
    const { shares, outputDim } = this.given;
    const embedded = [...onlyShape(shape), outputDim];
    return shares ? [embedded, ...decodedShapes(this.given, outputDim)] : embedded;
  }

  override call(inputs: Tensor | Tensor[]): Tensor | Tensor[] {
    return tf.tidy(() => {
      const ids = only(inputs);
      const flat = tf.cast(tf.reshape(ids, [-1]), 'int32') as Tensor1D;
      const rows = this.matrix.lookup(flat);
      const embedded = tf.reshape(rows, [...ids.shape, this.given.outputDim]);
      return this.given.shares ? [embedded, ...this.matrix.decode()] : embedded;
    });
  }

  /** Multiply-accumulate operations per example, as if every word were of the block of highest rank. */
  macs(inputShape: Shape | Shape[]): number {
    const { blocks, outputDim } = this.given;
    const ids = onlyShape(inputShape)
      .slice(1)
      .reduce<number>((product, n) => product * (n ?? 1), 1);
    return ids * Math.max(...blocks.map(({ rank }) => rank ?? 0)) * outputDim;
  }

  override computeMask(inputs: Tensor | Tensor[], mask?: Tensor | Tensor[]): Tensor | Tensor[] {
    if (!this.given.maskZero) return super.computeMask(inputs, mask);
    return tf.notEqual(only(inputs), 0);
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { outputDim, maskZero = false, shares = false } = this.given;
    const { embeddingsRegularizer = null, kernelRegularizer = null } = this.given;
    return {
      ...super.getConfig(),
      ...matrixConfig(this.given),
      ...{ outputDim, maskZero, shares, embeddingsRegularizer, kernelRegularizer },
    };
  }
}

/**
 * Configuration of {@link BlockLowRankDense} and {@link BlockLowRankTiedDense}. Its rules are as
 * `tf.layers.dense` writes them; the regularizer of the kernel acts on the decoded matrix, and a tied
 * layer has none.
 */
export interface BlockLowRankDenseConfig extends BlockMatrixConfig, WrittenRules {
  readonly name?: string;
  /** Default true. */
  readonly trainable?: boolean;
  /** Default true. */
  readonly useBias?: boolean;
  /** An activation of tfjs by name; default linear. */
  readonly activation?: string | null;
}

abstract class ScoringLayer extends tfl.layers.Layer implements EndsInActivation {
  readonly endsInActivation = true;
  activation: Activation;
  #bias: Variable | undefined;

  constructor(protected readonly given: BlockLowRankDenseConfig) {
    super(given as LayerArguments);
    this.supportsMasking = true;
    const layer = tfl.layers.activation({ activation: (given.activation ?? 'linear') as 'linear' });
    this.activation = (layer as unknown as { activation: Activation }).activation;
  }

  /** `[units]`, if the layer has a bias. */
  get bias(): Tensor1D | undefined {
    return this.#bias?.read() as Tensor1D | undefined;
  }

  protected get units(): number {
    return this.given.blocks.reduce((sum, { rows }) => sum + rows, 0);
  }

  override build(shape: Shape | Shape[]): void {
    super.build(shape);
    if (this.given.useBias === false) return;
    const zeros = tfl.initializers.zeros();
    const { biasRegularizer, biasConstraint } = readRules(this.given);
    const rules = [biasRegularizer ?? undefined, true, biasConstraint ?? undefined] as const;
    this.#bias = this.addWeight('bias', [this.units], 'float32', zeros, ...rules);
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return [...onlyShape(shape).slice(0, -1), this.units];
  }

  /** Multiply-accumulate operations per example: by the basis of each block, then by its rows. */
  macs(inputShape: Shape | Shape[], outputShape: Shape): number {
    const columns = onlyShape(inputShape).at(-1)!;
    const positions = outputShape
      .slice(1, -1)
      .reduce<number>((product, n) => product * (n ?? 1), 1);
    const each = this.given.blocks.map(({ rows, rank }) =>
      rank === null ? rows * columns : rank * (rows + columns),
    );
    return positions * each.reduce((a, b) => a + b, 0);
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { useBias = true, activation = null } = this.given;
    const { kernelRegularizer = null, biasRegularizer = null, biasConstraint = null } = this.given;
    return {
      ...super.getConfig(),
      ...matrixConfig(this.given),
      ...{ useBias, activation, kernelRegularizer, biasRegularizer, biasConstraint },
    };
  }

  /** `tf.layers.dense` of a decoded matrix `[units, inputs]`. */
  protected plainDense(matrix: BlockMatrix): PlainLayer {
    const { activation = null } = this.given;
    const none = { blocks: undefined, permuted: undefined, storage: undefined };
    const own = { units: this.units, activation: activation ?? 'linear' };
    const config = { ...this.getConfig(), ...none, ...own };
    const kernel = tf.transpose(matrix.whole());
    const weights = { kernel, ...(this.bias && { bias: this.bias }) };
    return { className: 'Dense', config, weights };
  }

  protected computeOutput(x: Tensor, matrix: BlockMatrix): Tensor {
    const scores = matrix.scores(tf.reshape(x, [-1, matrix.columns]) as Tensor2D);
    const biased = this.bias ? tf.add(scores, this.bias) : scores;
    const shaped = tf.reshape(biased, [...x.shape.slice(0, -1), matrix.words]);
    return this.activation.apply(shaped);
  }
}

/**
 * A dense layer whose kernel, transposed `[units, inputs]`, is kept block by block in low rank:
 * `[batch, …, inputs]` → `[batch, …, units]`. Units are in the order of the layer that it replaces.
 *
 * @see GroupReduce, Chen et al. 2018, arXiv 1806.06950, section 3.
 */
export class BlockLowRankDense extends ScoringLayer implements RowDecoder, HasPlainLayer {
  static className = 'BlockLowRankDense';
  #matrix: BlockMatrix | undefined;

  /** The kernel, transposed: one row per unit; there once the layer is built. */
  get matrix(): BlockMatrix {
    return this.#matrix!;
  }

  /** Rows by unit `[n]`: float32 `[n, inputs]`; only those are decoded. */
  decodeRows(ids: Tensor1D): Tensor2D {
    return this.matrix.lookup(ids);
  }

  plainLayer(): PlainLayer {
    return this.plainDense(this.matrix);
  }

  override build(shape: Shape | Shape[]): void {
    this.#matrix = BlockMatrix.ofLayer(this, onlyShape(shape).at(-1)!, this.given);
    super.build(shape);
    const { kernelRegularizer = null } = this.given;
    penalizeWhole(this, this.matrix, kernelRegularizer, (whole) => tf.transpose(whole));
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    return tf.tidy(() => this.computeOutput(only(inputs), this.matrix));
  }
}

/**
 * A dense layer that uses the matrix of a {@link BlockLowRankEmbedding} that `shares` it: its inputs
 * are `[batch, …, inputs]` and the embedding's further outputs. Only the bias is its own.
 */
export class BlockLowRankTiedDense extends ScoringLayer implements HasPlainLayer {
  static className = 'BlockLowRankTiedDense';

  /** The matrix is decoded twice: a plain dense layer has one of its own. */
  plainLayer(sources: readonly tfl.layers.Layer[]): PlainLayer {
    const shared = sources.find((layer) => layer instanceof BlockLowRankEmbedding)!;
    const { config, ...plain } = this.plainDense(shared.matrix);
    const { kernelRegularizer = null } = shared.getConfig();
    return { ...plain, config: { ...config, kernelRegularizer }, inputs: 1 };
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    return tf.tidy(() => {
      const [x, ...factors] = inputs as Tensor[];
      const matrix = BlockMatrix.ofTensors(factors, x!.shape.at(-1)!, this.given);
      return this.computeOutput(x!, matrix);
    });
  }
}

function penalizeWhole(
  layer: tfl.layers.Layer,
  matrix: BlockMatrix,
  written: WrittenRule,
  turned: (whole: Tensor2D) => Tensor,
): void {
  const { kernelRegularizer } = readRules({ kernelRegularizer: written });
  const decode = () => turned(matrix.whole());
  penalizeMatrix(layer, kernelRegularizer, { parts: matrix.stored, decode });
}

function decodedShapes({ blocks, permuted }: BlockMatrixConfig, columns: number): Shape[] {
  const rows = placeBlocks(blocks).map((block) => [block.rows, block.rank ?? columns]);
  const rank = countBasisRows(blocks);
  const words = blocks.reduce((sum, block) => sum + block.rows, 0);
  return [...rows, ...(rank > 0 ? [[rank, columns]] : []), ...(permuted ? [[words]] : [])];
}

function matrixConfig({ blocks, permuted = false, storage = {} }: BlockMatrixConfig) {
  return { blocks, permuted, storage } as unknown as tf.serialization.ConfigDict;
}

function onlyShape(shape: Shape | Shape[]): Shape {
  return (Array.isArray(shape[0]) ? shape[0] : shape) as Shape;
}

function only(tensors: Tensor | Tensor[]): Tensor {
  return Array.isArray(tensors) ? tensors[0]! : tensors;
}

for (const layer of [BlockLowRankEmbedding, BlockLowRankDense, BlockLowRankTiedDense]) {
  tf.serialization.registerClass(layer);
}
