import { decodeSafetensors } from '@espalier/core';
import { pytorchModules, pytorchWeights } from '@espalier/formats';
import type { LayerWeights } from '@espalier/formats';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { lstmModel } from './lstm-model.js';

/**
 * {@link lstmModel} with the weights of the same model in PyTorch, from a safetensors file with the
 * modules `embedding`, `lstm` (two layers) and `softmax`.
 */
export function modelFromPytorch(file: Uint8Array): LayersModel {
  const { tensors } = decodeSafetensors(file);
  const weights = new Map(
    pytorchModules(tensors).modules.map((module) => [module.name, pytorchWeights(tensors, module)]),
  );
  const [embedding, lstm, softmax] = ['embedding', 'lstm', 'softmax'].map((name) =>
    weights.get(name)!,
  ) as [LayerWeights[], LayerWeights[], LayerWeights[]];
  const [vocabulary, units] = embedding[0]!['embeddings']!.shape as [number, number];
  const model = lstmModel({ vocabulary, units });
  const layers = ['embedding', 'lstm_1', 'lstm_2', 'softmax'];
  [...embedding, ...lstm, ...softmax].forEach((each, i) => {
    tf.tidy(() => model.getLayer(layers[i]!).setWeights(Object.values(each).map(toTensor)));
  });
  return model;
}

function toTensor({ data, shape }: LayerWeights[string]): tf.Tensor {
  return tf.tensor(data as Float32Array, [...shape]);
}
