import type { Tensor } from '@tensorflow/tfjs-core';

/** Work that reads tensors as it goes: it yields a tensor and gets its values. */
export type Reading<T> = Generator<Tensor, T, Float32Array | Int32Array | Uint8Array>;

/**
 * Does the work, waiting for the device at each tensor.
 *
 * @example
 * await readLater(readBatch(raw));
 */
export async function readLater<T>(work: Reading<T>): Promise<T> {
  let turn = work.next();
  while (!turn.done) turn = work.next(await turn.value.data());
  return turn.value;
}

/**
 * Does the work at once: the device is stopped for a tensor whose values are on it alone.
 *
 * @example
 * readNow(readBatch(raw));
 */
export function readNow<T>(work: Reading<T>): T {
  let turn = work.next();
  while (!turn.done) turn = work.next(turn.value.dataSync());
  return turn.value;
}
