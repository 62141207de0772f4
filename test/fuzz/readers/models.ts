import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/** Recurrent, nested, shared and normalized layers, small. */
export function makeModel(): tfl.LayersModel {
  const inside = tfl.input({ shape: [3], name: 'inside' });
  const nested = tfl.model({
    inputs: inside,
    outputs: tfl.layers.dense({ units: 3, name: 'inner' }).apply(inside) as tfl.SymbolicTensor,
    name: 'nested',
  });
  const shared = tfl.layers.dense({ units: 3, name: 'shared', activation: 'relu' });
  const words = tfl.input({ shape: [null], dtype: 'int32', name: 'words' });
  const layers = [
    tfl.layers.embedding({ inputDim: 7, outputDim: 3, name: 'embedding' }),
    tfl.layers.lstm({ units: 3, name: 'lstm', recurrentInitializer: 'glorotUniform' }),
    shared,
    tfl.layers.batchNormalization({ name: 'normal' }),
    nested,
    shared,
    tfl.layers.dense({ units: 2, name: 'logits', kernelConstraint: tfl.constraints.nonNeg() }),
  ];
  const outputs = layers.reduce<tfl.SymbolicTensor>(
    (x, layer) => layer.apply(x) as tfl.SymbolicTensor,
    words,
  );
  return tfl.model({ inputs: words, outputs, name: 'model' });
}

/** Layers in a row. */
export function makeSequential(): tfl.LayersModel {
  const conv = tfl.layers.conv2d({
    filters: 2,
    kernelSize: 2,
    inputShape: [4, 4, 1],
    name: 'conv',
    kernelRegularizer: 'l1l2',
  });
  const dense = tfl.layers.dense({ units: 2, name: 'dense' });
  const layers = [conv, tfl.layers.flatten({ name: 'flat' }), dense];
  return tfl.sequential({ layers, name: 'row' });
}

/** What the loader of TensorFlow.js would get. */
export async function saveModel(model: tfl.LayersModel): Promise<tf.io.ModelArtifacts> {
  let saved: tf.io.ModelArtifacts | undefined;
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      saved = artifacts;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    }),
  );
  return saved!;
}
