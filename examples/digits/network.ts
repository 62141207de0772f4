import type { LayersModel } from '@tensorflow/tfjs-layers';
import { resnet } from '../networks/resnet.js';

/** Options of {@link residualNetwork}. */
export interface ResidualNetworkOptions {
  /** Channels of the first stage; default 16. */
  readonly filters?: number;
  /** Of the stem: 1 keeps 28×28 positions (as on CIFAR), 2 (default) costs a quarter of that. */
  readonly strides?: number;
}

/**
 * A small residual network for 28×28 images (ResNet-8, He et al. 2016): a stem and `stage1` to `stage3`
 * of one basic block each, with 1, 2 and 4 times `filters` channels; global average pooling; 10 logits.
 */
export function residualNetwork({
  filters = 16,
  strides = 2,
}: ResidualNetworkOptions = {}): LayersModel {
  return resnet({ depth: 8, width: filters / 16, strides, shape: [28, 28, 1] });
}
