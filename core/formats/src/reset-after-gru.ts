import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { RNNLayerArgs, Shape } from '@tensorflow/tfjs-layers';

/** Options of {@link ResetAfterGRUCell}. */
export interface ResetAfterGRUCellArgs {
  readonly name?: string;
  readonly units: number;
  /** Default true. */
  readonly useBias?: boolean;
}

/** Options of {@link ResetAfterGRU}: those of every recurrent layer, and its cell's. */
export type ResetAfterGRUArgs = Omit<RNNLayerArgs, 'cell'> & ResetAfterGRUCellArgs;

/**
 * One step of a gated recurrent unit that applies the reset gate after the recurrent product, as
 * PyTorch, cuDNN and Keras (`reset_after`) do, and tfjs's own does not. For x `[batch, inputs]`, h
 * `[batch, units]` and the gates z (update), r (reset) and candidate n, each with its own part of
 * kernel, recurrent kernel and bias:
 *
 *     z = σ(x·Wz + bz + h·Uz + cz)
 *     r = σ(x·Wr + br + h·Ur + cr)
 *     n = tanh(x·Wn + bn + r ⊙ (h·Un + cn))
 *     h' = z ⊙ h + (1 − z) ⊙ n
 *
 * Weights: `kernel` `[inputs, 3·units]`, `recurrent_kernel` `[units, 3·units]`, `bias`
 * `[2, 3·units]` (b, then c), in the order z, r, n; they start uniform in ± 1/√units, as PyTorch's.
 *
 * @see Cho et al. (2014), https://arxiv.org/abs/1406.1078
 */
export class ResetAfterGRUCell extends tfl.layers.RNNCell {
  static readonly className: string = 'ResetAfterGRUCell';
  readonly stateSize: number;
  readonly #useBias: boolean;

  constructor(args: ResetAfterGRUCellArgs) {
    super({ name: args.name });
    this.stateSize = args.units;
    this.#useBias = args.useBias ?? true;
  }

  override build(inputShape: Shape | Shape[]): void {
    const inputs = (inputShape as Shape).at(-1)!;
    const units = this.stateSize;
    const bound = 1 / Math.sqrt(units);
    const initializer = tfl.initializers.randomUniform({ minval: -bound, maxval: bound });
    const add = (name: string, shape: number[]) =>
      this.addWeight(name, shape, 'float32', initializer);
    add('kernel', [inputs, 3 * units]);
    add('recurrent_kernel', [units, 3 * units]);
    if (this.#useBias) add('bias', [2, 3 * units]);
    this.built = true;
  }

  override call(inputs: Tensor | Tensor[]): Tensor[] {
    return tf.tidy(() => {
      const [x, h] = inputs as [Tensor2D, Tensor2D];
      const [kernel, recurrentKernel, bias] = this.weights.map((weight) => weight.read());
      const [b, c] = bias ? tf.unstack(bias) : [];
      const [xz, xr, xn] = gates(x, kernel as Tensor2D, b);
      const [hz, hr, hn] = gates(h, recurrentKernel as Tensor2D, c);
      const z = tf.sigmoid(tf.add(xz, hz));
      const r = tf.sigmoid(tf.add(xr, hr));
      const n = tf.tanh(tf.add(xn, tf.mul(r, hn)));
      const next = tf.add(n, tf.mul(z, tf.sub(h, n)));
      return [next, next];
    });
  }

  override getConfig() {
    return { ...super.getConfig(), units: this.stateSize, useBias: this.#useBias };
  }
}

/** `[batch, 3·units]` in its three parts. */
function gates(x: Tensor2D, kernel: Tensor2D, bias: Tensor | undefined) {
  const product = tf.matMul(x, kernel);
  const sum = bias ? tf.add(product, bias) : product;
  return tf.split(sum, 3, -1) as [Tensor, Tensor, Tensor];
}

/**
 * A GRU layer, `[batch, time, inputs]` → `[batch, time, units]` (`returnSequences`) or `[batch, units]`,
 * that computes what `torch.nn.GRU` computes; see {@link ResetAfterGRUCell}.
 *
 * @example
 * model.add(new ResetAfterGRU({ units: 64, returnSequences: true }));
 */
export class ResetAfterGRU extends tfl.RNN {
  static override readonly className: string = 'ResetAfterGRU';

  constructor(args: ResetAfterGRUArgs) {
    const { units, useBias, name } = args;
    super({ ...args, cell: new ResetAfterGRUCell({ units, useBias, name }) });
  }

  static override fromConfig<T extends tf.serialization.Serializable>(
    cls: tf.serialization.SerializableConstructor<T>,
    config: tf.serialization.ConfigDict,
  ): T {
    return new cls(config);
  }
}

tf.serialization.registerClass(ResetAfterGRUCell);
tf.serialization.registerClass(ResetAfterGRU);
