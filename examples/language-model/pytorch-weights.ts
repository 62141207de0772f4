import { decodeSafetensors } from '@espalier/core';
import type { HostTensor } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { lstmModel } from './lstm-model.js';

/**
 * {@link lstmModel} with the weights of the same model in PyTorch: `embedding.weight`,
 * `lstm.{weight_ih,weight_hh,bias_ih,bias_hh}_l{0,1}`, `softmax.{weight,bias}` in a safetensors file
 * of 16-bit floats. PyTorch's gates are in the same order; its matrices are transposed, and its two
 * biases are one here.
 */
export function modelFromPytorch(file: Uint8Array): LayersModel {
  const { tensors } = decodeSafetensors(file);
  const [vocabulary, units] = tensors.get('embedding.weight')!.shape as [number, number];
  const model = lstmModel({ vocabulary, units });
  tf.tidy(() => {
    const get = (name: string) => toTensor(tensors.get(name)!);
    const turned = (name: string) => tf.transpose(get(name));
    model.getLayer('embedding').setWeights([get('embedding.weight')]);
    for (const k of [0, 1]) {
      const bias = tf.add(get(`lstm.bias_ih_l${k}`), get(`lstm.bias_hh_l${k}`));
      const matrices = [turned(`lstm.weight_ih_l${k}`), turned(`lstm.weight_hh_l${k}`)];
      model.getLayer(`lstm_${k + 1}`).setWeights([...matrices, bias]);
    }
    model.getLayer('softmax').setWeights([turned('softmax.weight'), get('softmax.bias')]);
  });
  return model;
}

function toTensor({ data, shape }: HostTensor): Tensor {
  return tf.tensor(Float32Array.from(data as Uint16Array, fromHalf), [...shape]);
}

/** The value of an IEEE half-precision number given by its bits. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = (bits & 0x3ff) / 1024;
  if (exponent === 0) return sign * fraction * 2 ** -14;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction) * 2 ** (exponent - 15);
}
