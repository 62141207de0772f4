import type { EndsInActivation, HasPlainLayer, PlainLayer } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { Shape } from '@tensorflow/tfjs-layers';

/** What the configuration of `tf.layers.dense` holds, as far as this layer computes with it. */
export interface DenseConfig {
  readonly units: number;
  readonly activation?: string;
  readonly useBias?: boolean;
}

/** Options of {@link AdaptedDense}. */
export interface AdaptedDenseOptions {
  readonly name?: string;
  /** The whole configuration of the dense layer that this one replaces. */
  readonly dense: DenseConfig;
  /** Columns of A and rows of B. */
  readonly rank: number;
  /** Factor of the adapter's output. */
  readonly scale: number;
}

/**
 * A dense layer with a low-rank adapter: `[batch, …, inputs]` → `[batch, …, units]`,
 * `activation(x·(W + scale·A·B) + bias)`. Only A and B train.
 * B starts at zero, so the layer starts as the dense layer that it replaces.
 *
 * @see LoRA, Hu et al. 2021, arXiv 2106.09685, section 4.1.
 * @example
 * const layer = new AdaptedDense({ dense: { units: 10 }, rank: 2, scale: 1 });
 */
export class AdaptedDense extends tfl.layers.Layer implements EndsInActivation, HasPlainLayer {
  static readonly className = 'AdaptedDense';
  readonly endsInActivation = true;
  activation: EndsInActivation['activation'];
  readonly #options: AdaptedDenseOptions;

  constructor(options: AdaptedDenseOptions) {
    super({ name: options.name });
    this.#options = options;
    this.supportsMasking = true;
    const layer = tfl.layers.activation({
      activation: (options.dense.activation ?? 'linear') as 'linear',
    });
    this.activation = (
      layer as unknown as { activation: EndsInActivation['activation'] }
    ).activation;
  }

  override build(inputShape: Shape | Shape[]): void {
    const inputs = onlyShape(inputShape).at(-1)!;
    const { dense, rank } = this.#options;
    const zeros = tfl.initializers.zeros();
    const add = (name: string, shape: number[], initializer = zeros, trains = false) =>
      this.addWeight(name, shape, 'float32', initializer, undefined, trains);
    add('kernel', [inputs, dense.units]);
    add('adapter_a', [inputs, rank], tfl.initializers.heUniform({}), true);
    add('adapter_b', [rank, dense.units], zeros, true);
    if (dense.useBias !== false) add('bias', [dense.units]);
    this.built = true;
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape {
    return [...onlyShape(inputShape).slice(0, -1), this.#options.dense.units];
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    return tf.tidy(() => {
      const x = Array.isArray(inputs) ? inputs[0]! : inputs;
      const { kernel, adapter_a: a, adapter_b: b, bias } = this.#read();
      const rows = tf.reshape(x, [-1, kernel.shape[0]]) as Tensor2D;
      const adapted = tf.mul(tf.matMul(tf.matMul(rows, a), b), this.#options.scale);
      const sum = tf.add(tf.matMul(rows, kernel), adapted);
      const biased = bias ? tf.add(sum, bias) : sum;
      return this.activation.apply(tf.reshape(biased, [...x.shape.slice(0, -1), kernel.shape[1]]));
    });
  }

  /** The dense layer whose kernel is W + scale·A·B: `session.export({ dense: true })` asks for it. */
  plainLayer(): PlainLayer {
    const { kernel: base, adapter_a: a, adapter_b: b, bias } = this.#read();
    const kernel = tf.add(base, tf.mul(tf.matMul(a, b), this.#options.scale));
    const config = { ...this.#options.dense };
    return { className: 'Dense', config, weights: { kernel, ...(bias && { bias }) } };
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { dense, rank, scale } = this.#options;
    return {
      ...super.getConfig(),
      dense: { ...dense } as tf.serialization.ConfigDict,
      rank,
      scale,
    };
  }

  /** By name: tfjs lists weights that train before those that do not. */
  #read(): AdaptedWeights {
    const named = this.weights.map((weight) => [
      weight.originalName.split('/').at(-1)!,
      weight.read(),
    ]);
    return Object.fromEntries(named) as AdaptedWeights;
  }
}

type AdaptedWeights = Readonly<Record<'kernel' | 'adapter_a' | 'adapter_b', Tensor2D>> & {
  readonly bias?: Tensor1D;
};

function onlyShape(shape: Shape | Shape[]): Shape {
  return (Array.isArray(shape[0]) ? shape[0] : shape) as Shape;
}

tf.serialization.registerClass(AdaptedDense);
