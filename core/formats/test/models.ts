import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';

interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32' | 'bool';
}

interface AddsWeights {
  addWeight(name: string, shape: readonly number[], dtype: string, init: unknown): unknown;
}

/** Hands its input on, and holds weights of any names, shapes and dtypes. */
export class Shelf extends tfl.layers.Layer {
  static className = 'ArtifactTestShelf';
  private readonly specs: readonly WeightSpec[];

  constructor({ name, specs }: { name?: string; specs: readonly WeightSpec[] }) {
    super(name === undefined ? {} : { name });
    this.specs = specs;
  }

  override build(): void {
    const adds = this as unknown as AddsWeights;
    for (const { name, shape, dtype } of this.specs) {
      adds.addWeight(name, shape, dtype, tfl.initializers.zeros());
    }
    this.built = true;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.clone(Array.isArray(inputs) ? inputs[0]! : inputs);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), specs: this.specs } as unknown as tf.serialization.ConfigDict;
  }
}
tf.serialization.registerClass(Shelf);

export type Values = Float32Array | Int32Array | Uint8Array;

/** A model whose layer `shelf` holds these values. */
export function shelfOf(weights: readonly (WeightSpec & { readonly data: Values })[]): LayersModel {
  const specs = weights.map(({ name, shape, dtype }) => ({ name, shape, dtype }));
  const layers = [tfl.layers.inputLayer({ inputShape: [1] }), new Shelf({ name: 'shelf', specs })];
  const model = tfl.sequential({ layers });
  const values = weights.map(({ data, shape, dtype }) => tf.tensor(data, [...shape], dtype));
  model.layers.at(-1)!.weights.forEach((variable, i) => {
    (variable.read() as tf.Variable).assign(values[i]!);
  });
  tf.dispose(values);
  return model;
}

/** Embedding, LSTM and a softmax layer, with one frozen layer and two outputs. */
export function languageModel(): LayersModel {
  const input = tfl.input({ shape: [4], name: 'words' });
  const embedding = tfl.layers.embedding({ inputDim: 20, outputDim: 6, name: 'embedding' });
  embedding.trainable = false;
  const embedded = embedding.apply(input) as tfl.SymbolicTensor;
  const lstm = tfl.layers.lstm({ units: 5, name: 'lstm' });
  const state = lstm.apply(embedded) as tfl.SymbolicTensor;
  const norm = tfl.layers.batchNormalization({ name: 'norm' }).apply(state) as tfl.SymbolicTensor;
  const logits = tfl.layers.dense({ units: 20, name: 'logits' }).apply(norm);
  const side = tfl.layers.dense({ units: 2 }).apply(state);
  return tfl.model({ inputs: input, outputs: [logits, side] as tfl.SymbolicTensor[] });
}
