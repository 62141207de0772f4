import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { MatrixShape } from './storage.js';
import { only, StoredKernel } from './stored-layers.js';
import type { StoredConfig } from './stored-layers.js';

type Layer = tfl.layers.Layer;
type Shape = (number | null)[];

type Conv2DConfig = Parameters<typeof tfl.layers.conv2d>[0];
/** Configuration of {@link StoredConv2D}; the matrix is `kernel`. */
export type StoredConv2DConfig = Conv2DConfig & StoredConfig;

/**
 * `tf.layers.conv2d` over a kernel in any storage: the matrix `[height · width · channels, filters]`,
 * decoded in every call.
 *
 * @example
 * new StoredConv2D({ filters: 8, kernelSize: 3, storage: { kernel: { kind: 'float32' } } });
 */
export class StoredConv2D extends StoredKernel<Layer> {
  static readonly className = 'StoredConv2D';
  #filter: [number, number, number, number] | undefined;

  constructor(private readonly config: StoredConv2DConfig) {
    super(config, tfl.layers.conv2d(config), 'kernel');
  }

  protected override shapeOfMatrix(inputShape: Shape): MatrixShape {
    const [height, width] = pair(this.config.kernelSize);
    const channels = inputShape.at(this.channelsFirst ? 1 : -1)!;
    this.#filter = [height, width, channels, this.config.filters];
    return [height * width * channels, this.config.filters];
  }

  protected override plainShape(): readonly number[] {
    return this.#filter!;
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    const { strides = 1, padding = 'valid', dilationRate = 1 } = this.config;
    return tf.tidy(() => {
      const given = only(inputs) as Tensor4D;
      const x = this.channelsFirst ? tf.transpose(given, [0, 2, 3, 1]) : given;
      const filter = tf.reshape(this.matrix.all(), this.#filter!) as Tensor4D;
      const [step, dilation] = [pair(strides), pair(dilationRate)];
      const maps = tf.conv2d(x, filter, step, padding as 'same' | 'valid', 'NHWC', dilation);
      const y = this.addBias(maps);
      // As in tfjs: a softmax is over the last axis, whatever that is.
      return this.activation.apply(this.channelsFirst ? tf.transpose(y, [0, 3, 1, 2]) : y);
    });
  }

  private get channelsFirst(): boolean {
    return this.config.dataFormat === 'channelsFirst';
  }
}

function pair(size: unknown): [number, number] {
  return (Array.isArray(size) ? [size[0], size[1] ?? size[0]] : [size, size]) as [number, number];
}
