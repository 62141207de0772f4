import * as tf from '@tensorflow/tfjs-core';

/** `missing`: not registered at all; `wrong`: gives wrong numbers; `slow`: right, but too slow to train with. */
export type RepairKind = 'missing' | 'slow' | 'wrong';

/** One kernel that a backend of TensorFlow.js 4.22 lacks or does badly, and what stands in for it. */
export interface Repair {
  /** The kernel's name in the tfjs registry. */
  readonly name: string;
  /** The backends on which the kernel is replaced. */
  readonly backends: readonly string[];
  /** What is wrong with the original. */
  readonly kind: RepairKind;
  /** One sentence for the README: what is wrong upstream, and what the repair does instead. */
  readonly why: string;
  /** The upstream issue or pull request, where there is one. */
  readonly issue?: string;
  /** Makes the kernel from the one that it replaces; a missing kernel has nothing to call. */
  readonly make: (original: tf.KernelFunc) => tf.KernelFunc;
}

/**
 * A kernel written as a composition of ops. The engine hands kernels real tensors and takes a tensor
 * back; it records no tape inside a kernel, and `tidy` frees everything but the result.
 */
export function composition<Inputs, Attrs>(
  compute: (inputs: Inputs, attrs: Attrs) => tf.Tensor,
): tf.KernelFunc {
  return ({ inputs, attrs }) =>
    tf.tidy(() => compute(inputs as unknown as Inputs, attrs as unknown as Attrs));
}
