import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { Shape } from '@tensorflow/tfjs-layers';
import { lstmSequence } from './lstm-sequence.js';

/** Options of {@link LstmLayer}. */
export interface LstmLayerOptions {
  readonly name?: string;
  readonly units: number;
  /** Weights and biases start uniform in ± this. */
  readonly scale?: number;
}

/**
 * An LSTM as {@link lstmSequence} computes it: `[x, h, c]` → `[batch, time + 1, units]`, whose parts
 * {@link LstmPart} takes. One output, because tfjs-layers runs a layer once for each of its outputs.
 * Weights are called and laid out as those of `tf.layers.lstm`.
 */
export class LstmLayer extends tfl.layers.Layer {
  static readonly className = 'LstmLayer';
  readonly #units: number;
  readonly #scale: number;

  constructor(options: LstmLayerOptions) {
    const { units, scale = 0.1, ...rest } = options;
    super(rest);
    this.#units = units;
    this.#scale = scale;
  }

  override build(inputShape: Shape | Shape[]): void {
    const features = (inputShape as Shape[])[0]!.at(-1)!;
    const initializer = tfl.initializers.randomUniform({
      minval: -this.#scale,
      maxval: this.#scale,
    });
    const add = (name: string, shape: number[]) =>
      this.addWeight(name, shape, 'float32', initializer);
    add('kernel', [features, 4 * this.#units]);
    add('recurrent_kernel', [this.#units, 4 * this.#units]);
    add('bias', [4 * this.#units]);
    this.built = true;
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape {
    const [[batch, time]] = inputShape as [Shape];
    return [batch!, time! === null ? null : time! + 1, this.#units];
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    const [x, h, c] = inputs as [Tensor3D, Tensor2D, Tensor2D];
    const [kernel, recurrentKernel, bias] = this.weights.map((weight) => weight.read()) as [
      Tensor2D,
      Tensor2D,
      Tensor1D,
    ];
    return tf.tidy(() => lstmSequence({ x, kernel, recurrentKernel, bias, h, c }));
  }

  /** Multiply-accumulate operations per example. */
  macs([, time, features]: Shape): number {
    return (time ?? 1) * (features! + this.#units) * 4 * this.#units;
  }

  override getConfig() {
    return { ...super.getConfig(), units: this.#units, scale: this.#scale };
  }
}

/** What there is in the output of an {@link LstmLayer}. */
export type LstmPartName = 'sequence' | 'hidden' | 'cell';

/**
 * Takes a part of an {@link LstmLayer}'s output: the hidden states `[batch, time, units]`, the last
 * of them, or the last cell state, both `[batch, units]`.
 */
export class LstmPart extends tfl.layers.Layer {
  static readonly className = 'LstmPart';
  readonly #part: LstmPartName;

  constructor(options: { readonly name?: string; readonly part: LstmPartName }) {
    const { part, ...rest } = options;
    super(rest);
    this.#part = part;
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape {
    const [batch, rows, units] = inputShape as Shape;
    if (this.#part !== 'sequence') return [batch!, units!];
    return [batch!, rows! === null ? null : rows! - 1, units!];
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    const states = (Array.isArray(inputs) ? inputs[0] : inputs) as Tensor3D;
    const [batch, rows, units] = states.shape;
    const time = rows - 1;
    return tf.tidy(() => {
      if (this.#part === 'sequence') return tf.slice(states, [0, 0, 0], [batch, time, units]);
      const at = this.#part === 'hidden' ? time - 1 : time;
      return tf.reshape(tf.slice(states, [0, at, 0], [batch, 1, units]), [batch, units]);
    });
  }

  /** It multiplies nothing. */
  macs(): number {
    return 0;
  }

  override getConfig() {
    return { ...super.getConfig(), part: this.#part };
  }
}

tf.serialization.registerClass(LstmLayer);
tf.serialization.registerClass(LstmPart);
