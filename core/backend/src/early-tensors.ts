import * as tf from '@tensorflow/tfjs-core';

interface KernelCall {
  readonly inputs?: Readonly<Record<string, tf.Tensor | null | undefined>>;
}

interface Engine {
  readonly state: { readonly tensorInfo: WeakMap<object, { readonly dtype: tf.DataType }> };
  runKernelFunc(call: KernelCall): unknown;
}

const arrays: Partial<Record<tf.DataType, Float32ArrayConstructor | Int32ArrayConstructor>> = {
  float32: Float32Array,
  int32: Int32Array,
};

/** Gives the tensor values of its own, of its own type. */
function separate(tensor: tf.Tensor): void {
  const Values = arrays[tensor.dtype];
  if (!Values) return;
  const own = tf.tensor(Values.from(tensor.dataSync()), tensor.shape, tensor.dtype);
  [tensor.dataId, own.dataId] = [own.dataId, tensor.dataId];
  own.dispose();
}

let installed = false;

/**
 * The cpu backend casts int32 to float32, and bool to either, without a copy: both tensors share one
 * array of whole numbers. A backend that moves the array over takes its bits for floats, and computes
 * with 1e-45 in the place of 1. This separates such a tensor when it is first used. It is never undone:
 * tensors that were made on the cpu may be used at any later time.
 */
export function separateCastTensors(): void {
  if (installed) return;
  installed = true;
  const engine = tf.engine() as unknown as Engine;
  const runKernelFunc = engine.runKernelFunc.bind(engine);
  engine.runKernelFunc = (call) => {
    for (const tensor of Object.values(call.inputs ?? {})) {
      const held = tensor && engine.state.tensorInfo.get(tensor.dataId);
      if (held && held.dtype !== tensor.dtype) separate(tensor);
    }
    return runKernelFunc(call);
  };
}
