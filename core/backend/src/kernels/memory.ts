import * as tf from '@tensorflow/tfjs-core';

/** The part of the wasm backend's public interface through which its memory is reached. */
interface WasmMemory {
  makeOutput(shape: number[], dtype: tf.DataType): tf.TensorInfo;
  typedArrayFromHeap(info: tf.TensorInfo): Float32Array;
}

/** The same of the cpu backend, whose tensors are typed arrays that it hands out uncopied. */
interface CpuMemory {
  makeTensorInfo(shape: number[], dtype: tf.DataType, values: Float32Array): tf.TensorInfo;
  readSync(dataId: tf.DataId): Float32Array;
}

type Write = (target: Float32Array, ...sources: Float32Array[]) => void;

/**
 * Makes a float32 tensor on the cpu or wasm backend by a loop over the memory itself. `write` gets the
 * target's elements, whose values are undefined so far, and those of the sources. Nothing is copied
 * and no device is waited for: on these two backends the data lie in the process's own memory.
 */
export function writeTensor(
  backend: object,
  shape: readonly number[],
  sources: readonly tf.TensorInfo[],
  write: Write,
): tf.Tensor {
  const info =
    'typedArrayFromHeap' in backend
      ? writeWasm(backend as unknown as WasmMemory, shape, sources, write)
      : writeCpu(backend as CpuMemory, shape, sources, write);
  return tf.engine().makeTensorFromTensorInfo(info);
}

function writeWasm(
  memory: WasmMemory,
  shape: readonly number[],
  sources: readonly tf.TensorInfo[],
  write: Write,
): tf.TensorInfo {
  const info = memory.makeOutput([...shape], 'float32');
  // Views come after the allocation: the memory may have grown, which detaches older views.
  const views = sources.map((source) => memory.typedArrayFromHeap(source));
  write(memory.typedArrayFromHeap(info), ...views);
  return info;
}

function writeCpu(
  memory: CpuMemory,
  shape: readonly number[],
  sources: readonly tf.TensorInfo[],
  write: Write,
): tf.TensorInfo {
  const target = new Float32Array(tf.util.sizeFromShape([...shape]));
  write(target, ...sources.map(({ dataId }) => memory.readSync(dataId)));
  return memory.makeTensorInfo([...shape], 'float32', target);
}
