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
 * An LSTM as {@link lstmSequence} computes it: `[x, h, c]` → `[sequence, h, c]`. Weights are called
 * and laid out as those of `tf.layers.lstm`.
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

  override computeOutputShape(inputShape: Shape | Shape[]): Shape[] {
    const [[batch, time]] = inputShape as [Shape];
    const state = [batch!, this.#units];
    return [[batch!, time!, this.#units], state, state];
  }

  override call(inputs: Tensor | Tensor[]): Tensor[] {
    const [x, h, c] = inputs as [Tensor3D, Tensor2D, Tensor2D];
    const [kernel, recurrentKernel, bias] = this.weights.map((weight) => weight.read());
    return tf.tidy(() => {
      const outputs = lstmSequence({
        x,
        kernel: kernel as Tensor2D,
        recurrentKernel: recurrentKernel as Tensor2D,
        bias: bias as Tensor1D,
        h,
        c,
      });
      return [outputs.sequence, outputs.h, outputs.c];
    });
  }

  override getConfig() {
    return { ...super.getConfig(), units: this.#units, scale: this.#scale };
  }
}

tf.serialization.registerClass(LstmLayer);
