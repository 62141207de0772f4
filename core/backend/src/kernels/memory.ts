import * as tf from '@tensorflow/tfjs-core';

/** What the memory of a tensor looks like, by its dtype. */
export type Elements = Float32Array | Int32Array | Uint8Array;

export type ElementType = 'float32' | 'int32' | 'bool';

/** The part of the wasm backend's public interface through which its memory is reached. */
interface WasmMemory {
  makeOutput(shape: number[], dtype: tf.DataType): tf.TensorInfo;
  typedArrayFromHeap(info: tf.TensorInfo): Elements;
}

/** The same of the cpu backend, whose tensors are typed arrays that it hands out uncopied. */
interface CpuMemory {
  makeTensorInfo(shape: number[], dtype: tf.DataType, values: Elements): tf.TensorInfo;
  readSync(dataId: tf.DataId): Elements;
}

type Write<E> = (target: E, ...sources: E[]) => void;

const isWasm = (backend: object): backend is WasmMemory => 'typedArrayFromHeap' in backend;

/** The elements of a tensor on the cpu or wasm backend, uncopied: valid until the next allocation. */
export function readElements(backend: object, { shape, dtype, dataId }: tf.TensorInfo): Elements {
  return isWasm(backend)
    ? backend.typedArrayFromHeap({ shape, dtype, dataId })
    : (backend as CpuMemory).readSync(dataId);
}

/**
 * Makes a tensor on the cpu or wasm backend by a loop over the memory itself. `write` gets the
 * target's elements, whose values are undefined so far, and those of the sources. Nothing is copied
 * and no device is waited for: on these two backends the data lie in the process's own memory.
 */
export function writeElements(
  backend: object,
  dtype: ElementType,
  shape: readonly number[],
  sources: readonly tf.TensorInfo[],
  write: Write<Elements>,
): tf.Tensor {
  const info = isWasm(backend)
    ? writeWasm(backend, dtype, shape, sources, write)
    : writeCpu(backend as CpuMemory, dtype, shape, sources, write);
  return tf.engine().makeTensorFromTensorInfo(info);
}

/** {@link writeElements} where all are float32. */
export function writeTensor(
  backend: object,
  shape: readonly number[],
  sources: readonly tf.TensorInfo[],
  write: Write<Float32Array>,
): tf.Tensor {
  return writeElements(backend, 'float32', shape, sources, write as Write<Elements>);
}

function writeWasm(
  memory: WasmMemory,
  dtype: ElementType,
  shape: readonly number[],
  sources: readonly tf.TensorInfo[],
  write: Write<Elements>,
): tf.TensorInfo {
  const info = memory.makeOutput([...shape], dtype);
  // Views come after the allocation: the memory may have grown, which detaches older views.
  const views = sources.map((source) => memory.typedArrayFromHeap(source));
  write(memory.typedArrayFromHeap(info), ...views);
  return info;
}

function writeCpu(
  memory: CpuMemory,
  dtype: ElementType,
  shape: readonly number[],
  sources: readonly tf.TensorInfo[],
  write: Write<Elements>,
): tf.TensorInfo {
  const target = tf.util.makeZerosTypedArray(tf.util.sizeFromShape([...shape]), dtype);
  write(target, ...sources.map(({ dataId }) => memory.readSync(dataId)));
  return memory.makeTensorInfo([...shape], dtype, target);
}

/** From this many elements on, copying a block is faster than a loop. */
const longRun = 32;

/** Copies `count` elements, every `step`-th of the source. */
export function copyRun(
  target: Elements,
  to: number,
  source: Elements,
  from: number,
  count: number,
  step = 1,
): void {
  if (step === 1 && count >= longRun) target.set(source.subarray(from, from + count), to);
  else for (let i = 0; i < count; i++) target[to + i] = source[from + i * step]!;
}
