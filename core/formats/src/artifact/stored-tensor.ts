import { EspalierError } from '@espalier/base';
import type { HostTensor, SafetensorsDtype } from '@espalier/checkpoint';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** Integer types narrower than int32, the narrowest first. */
const NARROW = [
  { dtype: 'U8', least: 0, most: 0xff, Data: Uint8Array },
  { dtype: 'I8', least: -0x80, most: 0x7f, Data: Int8Array },
  { dtype: 'U16', least: 0, most: 0xffff, Data: Uint16Array },
  { dtype: 'I16', least: -0x8000, most: 0x7fff, Data: Int16Array },
] as const;

/** Every integer type in a file is an int32 tensor in memory. */
const LOGICAL: Readonly<Partial<Record<SafetensorsDtype, 'float32' | 'int32' | 'bool'>>> = {
  F32: 'float32',
  BOOL: 'bool',
  U8: 'int32',
  I8: 'int32',
  U16: 'int32',
  I16: 'int32',
  I32: 'int32',
};

/** The least and the largest of some integers, and 0. */
export function rangeOf(data: Int32Array): { readonly least: number; readonly most: number } {
  let [least, most] = [0, 0];
  for (const value of data) {
    if (value < least) least = value;
    else if (value > most) most = value;
  }
  return { least, most };
}

/** The narrowest integer type that holds a range. */
export function typeOfRange(least: number, most: number): SafetensorsDtype {
  return NARROW.find((each) => each.least <= least && most <= each.most)?.dtype ?? 'I32';
}

/** An int32 tensor in a type that {@link typeOfRange} found; others as they are. */
export function narrowTo(dtype: SafetensorsDtype, tensor: HostTensor): HostTensor {
  const type = tensor.dtype === 'I32' && NARROW.find((each) => each.dtype === dtype);
  return type ? { ...tensor, dtype, data: new type.Data(tensor.data as Int32Array) } : tensor;
}

/**
 * Refuses element types that no tensor of a model has.
 *
 * @throws EspalierError `artifact/dtype`, naming the weight.
 */
export function checkDtypes(tensors: ReadonlyMap<string, HostTensor>): void {
  for (const [path, { dtype }] of tensors) {
    if (dtype in LOGICAL) continue;
    throw new EspalierError('artifact/dtype', {
      problem: `weight '${path}' has a dtype that artifacts do not use`,
      received: dtype,
      fix: `Known: ${Object.keys(LOGICAL).join(', ')}.`,
    });
  }
}

/** The tensor in its logical dtype. It shares nothing with the file; the caller owns it. */
export function widen({ dtype, shape, data }: HostTensor): Tensor {
  const type = LOGICAL[dtype]!;
  const own = type === 'int32' ? new Int32Array(data as Int16Array) : data.slice();
  return tf.tensor(own as Float32Array | Int32Array | Uint8Array, [...shape], type);
}
