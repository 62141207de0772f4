import * as tfl from '@tensorflow/tfjs-layers';

type Layer = tfl.layers.Layer;

export interface LayerCase {
  /** The class as tfjs-layers registers it. */
  readonly className: string;
  /** The layer with its default options, as far as it has them. */
  readonly make: () => Layer;
  /** Shapes of the inputs, batch first. */
  readonly inputs: readonly number[][];
  /** Input of class numbers below this instead of real numbers. */
  readonly classes?: number;
  /** Prepares data: no gradient passes to what comes before it. */
  readonly atInput?: boolean;
}

const vectors = [3, 4];
const sequence = [2, 5, 4];
const image = [2, 6, 6, 3];
const clip = [2, 3, 6, 6, 3];
const volume = [2, 4, 4, 4, 2];

const one = (className: string, make: () => Layer, ...inputs: readonly number[][]): LayerCase => ({
  className,
  make,
  inputs,
});

/** Every layer class of TensorFlow.js Layers. */
export const layerTable: readonly LayerCase[] = [
  one('Activation', () => tfl.layers.activation({ activation: 'softmax' }), vectors),
  one('Add', () => tfl.layers.add(), vectors, vectors),
  one('AlphaDropout', () => tfl.layers.alphaDropout({ rate: 0.5 }), vectors),
  one('Average', () => tfl.layers.average(), vectors, vectors),
  one('AveragePooling1D', () => tfl.layers.averagePooling1d({ poolSize: 2 }), sequence),
  one('AveragePooling2D', () => tfl.layers.averagePooling2d({}), image),
  one('AveragePooling3D', () => tfl.layers.averagePooling3d({}), volume),
  one('BatchNormalization', () => tfl.layers.batchNormalization(), vectors),
  one(
    'Bidirectional',
    () =>
      tfl.layers.bidirectional({
        layer: tfl.layers.lstm({ units: 2 }) as tfl.RNN,
        mergeMode: 'concat',
      }),
    sequence,
  ),
  {
    ...one('CategoryEncoding', () => tfl.layers.categoryEncoding({ numTokens: 5 }), [2, 3]),
    classes: 5,
    atInput: true,
  },
  {
    ...one('CenterCrop', () => tfl.layers.centerCrop({ height: 4, width: 4 }), image),
    atInput: true,
  },
  one('Concatenate', () => tfl.layers.concatenate(), vectors, vectors),
  one('Conv1D', () => tfl.layers.conv1d({ filters: 2, kernelSize: 3 }), sequence),
  one('Conv2D', () => tfl.layers.conv2d({ filters: 2, kernelSize: 3 }), image),
  one('Conv2DTranspose', () => tfl.layers.conv2dTranspose({ filters: 2, kernelSize: 3 }), image),
  one('Conv3D', () => tfl.layers.conv3d({ filters: 2, kernelSize: 2 }), volume),
  one('Conv3DTranspose', () => tfl.layers.conv3dTranspose({ filters: 2, kernelSize: 2 }), volume),
  one('ConvLSTM2D', () => tfl.layers.convLstm2d({ filters: 2, kernelSize: 3 }), clip),
  one('Cropping2D', () => tfl.layers.cropping2D({ cropping: 1 }), image),
  one('Dense', () => tfl.layers.dense({ units: 3 }), vectors),
  one('DepthwiseConv2D', () => tfl.layers.depthwiseConv2d({ kernelSize: 3 }), image),
  one('Dot', () => tfl.layers.dot({ axes: -1 }), vectors, vectors),
  one('Dropout', () => tfl.layers.dropout({ rate: 0.5 }), vectors),
  one('ELU', () => tfl.layers.elu(), vectors),
  {
    ...one('Embedding', () => tfl.layers.embedding({ inputDim: 7, outputDim: 3 }), [2, 5]),
    classes: 7,
    atInput: true,
  },
  one('Flatten', () => tfl.layers.flatten(), image),
  one('GRU', () => tfl.layers.gru({ units: 2 }), sequence),
  one('GaussianDropout', () => tfl.layers.gaussianDropout({ rate: 0.5 }), vectors),
  one('GaussianNoise', () => tfl.layers.gaussianNoise({ stddev: 1 }), vectors),
  one('GlobalAveragePooling1D', () => tfl.layers.globalAveragePooling1d(), sequence),
  one('GlobalAveragePooling2D', () => tfl.layers.globalAveragePooling2d({}), image),
  one('GlobalMaxPooling1D', () => tfl.layers.globalMaxPooling1d(), sequence),
  one('GlobalMaxPooling2D', () => tfl.layers.globalMaxPooling2d({}), image),
  one('LSTM', () => tfl.layers.lstm({ units: 2 }), sequence),
  one('LayerNormalization', () => tfl.layers.layerNormalization(), vectors),
  one('LeakyReLU', () => tfl.layers.leakyReLU(), vectors),
  one('Masking', () => tfl.layers.masking(), sequence),
  one('MaxPooling1D', () => tfl.layers.maxPooling1d({ poolSize: 2 }), sequence),
  one('MaxPooling2D', () => tfl.layers.maxPooling2d({}), image),
  one('MaxPooling3D', () => tfl.layers.maxPooling3d({}), volume),
  one('Maximum', () => tfl.layers.maximum(), vectors, vectors),
  one('Minimum', () => tfl.layers.minimum(), vectors, vectors),
  one('Multiply', () => tfl.layers.multiply(), vectors, vectors),
  one('PReLU', () => tfl.layers.prelu(), vectors),
  one('Permute', () => tfl.layers.permute({ dims: [2, 1] }), sequence),
  one('RNN', () => tfl.layers.rnn({ cell: tfl.layers.gruCell({ units: 2 }) }) as Layer, sequence),
  one('RandomWidth', () => tfl.layers.randomWidth({ factor: 0.5 }), image),
  one('ReLU', () => tfl.layers.reLU(), vectors),
  one('RepeatVector', () => tfl.layers.repeatVector({ n: 2 }), vectors),
  one('Rescaling', () => tfl.layers.rescaling({ scale: 0.5 }), image),
  one('Reshape', () => tfl.layers.reshape({ targetShape: [2, 2] }), vectors),
  one('Resizing', () => tfl.layers.resizing({ height: 4, width: 9 }), image),
  one('SeparableConv2D', () => tfl.layers.separableConv2d({ filters: 2, kernelSize: 3 }), image),
  one('SimpleRNN', () => tfl.layers.simpleRNN({ units: 2 }), sequence),
  one('Softmax', () => tfl.layers.softmax(), vectors),
  one('SpatialDropout1D', () => tfl.layers.spatialDropout1d({ rate: 0.5 }), sequence),
  one('ThresholdedReLU', () => tfl.layers.thresholdedReLU({ theta: 0.1 }), vectors),
  one(
    'TimeDistributed',
    () => tfl.layers.timeDistributed({ layer: tfl.layers.dense({ units: 3 }) }),
    sequence,
  ),
  one('UpSampling2D', () => tfl.layers.upSampling2d({}), image),
  one('ZeroPadding2D', () => tfl.layers.zeroPadding2d({ padding: 1 }), image),
];
