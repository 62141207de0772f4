import type { NamedTensors } from '@espalier/base';
import { encodeSafetensorsHeader, readTensors, sortByWidth } from '@espalier/checkpoint';
import type { DescribedTensor, HostTensor } from '@espalier/checkpoint';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { narrowTo, rangeOf, typeOfRange } from './stored-tensor.js';

/** A file of weights before it is written. */
export interface WeightsFile {
  /** What stands in front of the data. */
  readonly header: Uint8Array;
  /** What it holds, in the order of the graph. */
  readonly tensors: readonly DescribedTensor[];
  /** Its content, some megabytes at a time; any number of times. */
  pieces(): AsyncGenerator<Uint8Array>;
}

/** Elements that are read at once: 16 MB. */
const PIECE = 2 ** 22;

/** The weights of a graph as a safetensors file, integers in the narrowest type that holds them. */
export async function describeWeights(weights: NamedTensors): Promise<WeightsFile> {
  const described: (DescribedTensor & { readonly tensor: Tensor })[] = [];
  for (const [name, tensor] of Object.entries(weights)) {
    described.push({ name, ...(await describeTensor(name, tensor)), tensor });
  }
  const tensors = described.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  const header = encodeSafetensorsHeader(tensors);
  return {
    header,
    tensors,
    async *pieces() {
      yield header;
      for (const { name, dtype, tensor } of sortByWidth(described)) {
        for await (const piece of readPieces(name, tensor)) yield bytesOf(narrowTo(dtype, piece));
      }
    },
  };
}

async function describeTensor(name: string, tensor: Tensor): Promise<Omit<HostTensor, 'data'>> {
  let [least, most, dtype] = [0, 0, 'F32' as HostTensor['dtype']];
  for await (const piece of readPieces(name, tensor)) {
    ({ dtype } = piece);
    if (dtype !== 'I32') break;
    const range = rangeOf(piece.data as Int32Array);
    [least, most] = [Math.min(least, range.least), Math.max(most, range.most)];
  }
  return { dtype: dtype === 'I32' ? typeOfRange(least, most) : dtype, shape: tensor.shape };
}

/** A tensor on the host, a large one in pieces. */
async function* readPieces(name: string, tensor: Tensor): AsyncGenerator<HostTensor> {
  if (tensor.size <= PIECE) {
    yield (await readTensors({ [name]: tensor })).get(name)!;
    return;
  }
  for (let begin = 0; begin < tensor.size; begin += PIECE) {
    const size = Math.min(PIECE, tensor.size - begin);
    const piece = tf.tidy(() => tf.slice(tf.reshape(tensor, [-1]), begin, size));
    const read = await readTensors({ [name]: piece });
    piece.dispose();
    yield read.get(name)!;
  }
}

function bytesOf({ data }: HostTensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
