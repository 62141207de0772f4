import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';

type Layer = tfl.layers.Layer;
type Options = Readonly<Record<string, unknown>>;

const { layers } = tfl;

/** A layer class of tfjs, by the function of `tf.layers` that makes it. */
export interface LayerRow {
  /** Shapes of its inputs, without the batch. */
  readonly inputs: readonly (readonly number[])[];
  /** What it cannot be made without. */
  readonly needed?: Options;
  /** Every other option, with values that are not the default. */
  readonly options: Readonly<Record<string, readonly unknown[]>>;
  /** Whether it cannot come first: tfjs 4.22 writes into the shape of its input, which then refuses data. */
  readonly behind?: true;
  /** How it is made, if not by its function alone. */
  readonly make?: (options: Options) => Layer;
}

const regularizer = () => tfl.regularizers.l1l2({ l1: 0.125, l2: 0.25 });
const CONSTRAINTS = () => [
  tfl.constraints.maxNorm({ maxValue: 0.5, axis: 0 }),
  tfl.constraints.minMaxNorm({ minValue: 0.1, maxValue: 0.5, rate: 0.7, axis: 0 }),
  tfl.constraints.nonNeg(),
  tfl.constraints.unitNorm({ axis: 0 }),
];

/** What can be said of weights, all of it by name. */
function weightOptions(...names: readonly string[]): Record<string, readonly unknown[]> {
  const each = names.map((name) => ({
    [`${name}Initializer`]: ['ones'],
    [`${name}Regularizer`]: [regularizer()],
    [`${name}Constraint`]: CONSTRAINTS(),
  }));
  return Object.assign({}, ...each) as Record<string, readonly unknown[]>;
}

const activation = ['tanh'];
const useBias = [false];
const padding = ['same'];
const dataFormat = ['channelsFirst'];
const VECTOR = [[4]];
const SEQUENCE = [[6, 4]];
const IMAGE = [[6, 6, 4]];
const VOLUME = [[4, 4, 4, 4]];
const PAIR = [[2, 3], [2, 3]]; // prettier-ignore

const kernels = { ...weightOptions('kernel', 'bias'), activation, useBias };
const convolution = { filters: [3], padding, dataFormat, dilationRate: [2], ...kernels };
const NEEDED = { filters: 2, kernelSize: 2 };
const pool = (...sizes: readonly number[]) => ({
  poolSize: [sizes],
  strides: [sizes.map(() => 1)],
  padding,
  dataFormat,
});
const pool1d = { poolSize: [3], strides: [1], padding };

/** The default, orthogonal, calls chained ops, which plain tfjs-core has not. */
const CELL = { units: 3, recurrentInitializer: 'glorotUniform' };
const cell = {
  ...weightOptions('kernel', 'recurrent', 'bias'),
  activation,
  useBias,
  dropout: [0.3],
  recurrentDropout: [0.3],
};
const gates = { recurrentActivation: ['tanh'], implementation: [2] };
const sequences = { returnSequences: [true], returnState: [true], goBackwards: [true] };
const inRnn = (make: (options: never) => Layer) => (options: Options) =>
  layers.rnn({ cell: make(options as never) as never });
const merge = (options: LayerRow['options'] = {}, inputs = PAIR): LayerRow => ({
  inputs,
  options,
});

export const LAYERS: Readonly<Record<string, LayerRow>> = {
  activation: {
    inputs: VECTOR,
    needed: { activation: 'tanh' },
    options: {
      activation:
        'elu gelu gelu_new hardSigmoid linear logSoftmax mish relu relu6 selu sigmoid softmax softplus softsign swish tanh'.split(
          ' ',
        ),
    },
  },
  elu: { inputs: VECTOR, options: {} }, // tfjs refuses any alpha but 1
  leakyReLU: { inputs: VECTOR, options: { alpha: [0.7] } },
  prelu: {
    inputs: IMAGE,
    needed: { alphaInitializer: 'ones' },
    options: { ...weightOptions('alpha'), sharedAxes: [[1, 2]] },
  },
  reLU: { inputs: VECTOR, options: { maxValue: [0.2] } },
  softmax: { inputs: VECTOR, options: { axis: [1] } },
  thresholdedReLU: { inputs: VECTOR, options: { theta: [0.1] } },

  conv1d: {
    inputs: [[6, 6]],
    needed: NEEDED,
    options: { ...convolution, kernelSize: [3], strides: [2] },
  },
  conv2d: {
    inputs: IMAGE,
    needed: NEEDED,
    options: { ...convolution, kernelSize: [[3, 1]], strides: [[2, 1]] },
  },
  conv3d: {
    inputs: VOLUME,
    needed: NEEDED,
    options: { ...convolution, kernelSize: [[3, 1, 2]], strides: [[2, 1, 1]] },
  },
  conv2dTranspose: {
    inputs: IMAGE,
    needed: NEEDED,
    options: { ...convolution, kernelSize: [[3, 1]], strides: [[2, 1]] },
  },
  conv3dTranspose: {
    inputs: VOLUME,
    needed: NEEDED,
    options: { ...convolution, dilationRate: [], kernelSize: [[3, 1, 2]], strides: [[2, 1, 1]] },
  },
  depthwiseConv2d: {
    inputs: IMAGE,
    needed: { kernelSize: 2 },
    options: {
      ...convolution,
      ...weightOptions('depthwise'),
      filters: [],
      kernelSize: [[3, 1]],
      strides: [[2, 2]],
      depthMultiplier: [2],
    },
  },
  separableConv2d: {
    inputs: IMAGE,
    needed: NEEDED,
    options: {
      ...weightOptions('depthwise', 'pointwise', 'bias'),
      filters: [3],
      kernelSize: [3],
      strides: [2],
      padding,
      dilationRate: [2],
      depthMultiplier: [2],
      activation,
      useBias,
    }, // tfjs cannot run it with channelsFirst
  },
  cropping2D: {
    inputs: IMAGE,
    needed: { cropping: [[1, 0], [2, 0]] }, // prettier-ignore
    options: { cropping: [[[0, 1], [0, 1]]], dataFormat }, // prettier-ignore
  },
  upSampling2d: {
    inputs: IMAGE,
    options: { size: [[3, 1]], dataFormat, interpolation: ['bilinear'] },
  },
  zeroPadding2d: {
    inputs: IMAGE,
    options: { padding: [[[1, 0], [2, 0]]], dataFormat }, // prettier-ignore
  },

  dense: { inputs: VECTOR, needed: { units: 3 }, options: { units: [2], ...kernels } },
  dropout: {
    inputs: SEQUENCE,
    needed: { rate: 0.5 },
    options: { rate: [0.2], noiseShape: [[2, 6, 1]], seed: [3] },
  },
  embedding: {
    inputs: [[6]],
    needed: { inputDim: 7, outputDim: 3 },
    options: {
      ...weightOptions('embeddings'),
      inputDim: [9],
      outputDim: [2],
      maskZero: [true],
      inputLength: [6],
    },
  },
  flatten: { inputs: [[2, 3, 4]], options: { dataFormat } },
  masking: { inputs: SEQUENCE, options: { maskValue: [0.5] } },
  permute: { inputs: SEQUENCE, needed: { dims: [2, 1] }, options: { dims: [[1, 2]] } },
  repeatVector: { inputs: VECTOR, needed: { n: 2 }, options: { n: [3] } },
  reshape: { inputs: VECTOR, needed: { targetShape: [2, 2] }, options: { targetShape: [[-1, 1]] } },
  spatialDropout1d: {
    inputs: SEQUENCE,
    needed: { rate: 0.5 },
    options: { rate: [0.2], seed: [3] },
  },

  add: merge(),
  average: merge(),
  concatenate: merge({ axis: [1, 2] }),
  dot: {
    inputs: PAIR,
    needed: { axes: 1 },
    options: { axes: [2, [1, 1]], normalize: [true] },
  },
  maximum: merge(),
  minimum: merge(),
  multiply: merge(),

  batchNormalization: {
    inputs: SEQUENCE,
    options: {
      ...weightOptions('beta', 'gamma'),
      axis: [1],
      momentum: [0.5],
      epsilon: [0.1],
      center: [false],
      scale: [false],
      movingMeanInitializer: ['ones'],
      movingVarianceInitializer: ['zeros'],
    },
  },
  layerNormalization: {
    inputs: SEQUENCE,
    options: {
      ...weightOptions('beta', 'gamma'),
      axis: [1],
      epsilon: [0.1],
      center: [false],
      scale: [false],
    },
  },

  averagePooling1d: { inputs: SEQUENCE, options: pool1d },
  averagePooling2d: { inputs: IMAGE, options: pool(3, 1) },
  averagePooling3d: { inputs: VOLUME, needed: { poolSize: 2 }, options: pool(3, 1, 1) },
  maxPooling1d: { inputs: SEQUENCE, options: pool1d },
  maxPooling2d: { inputs: IMAGE, options: pool(3, 1) },
  maxPooling3d: { inputs: VOLUME, needed: { poolSize: 2 }, options: pool(3, 1, 1) },
  globalAveragePooling1d: { inputs: SEQUENCE, options: {} },
  globalAveragePooling2d: { inputs: IMAGE, options: { dataFormat } },
  globalMaxPooling1d: { inputs: SEQUENCE, options: {} },
  globalMaxPooling2d: { inputs: IMAGE, options: { dataFormat } },

  alphaDropout: {
    inputs: VECTOR,
    needed: { rate: 0.5 },
    options: { rate: [0.2], noiseShape: [[2, 1]] },
  },
  gaussianDropout: { inputs: VECTOR, needed: { rate: 0.5 }, options: { rate: [0.2] } },
  gaussianNoise: { inputs: VECTOR, needed: { stddev: 0.5 }, options: { stddev: [1.5] } },

  simpleRNN: { inputs: SEQUENCE, needed: CELL, options: { units: [2], ...cell, ...sequences } },
  gru: { inputs: SEQUENCE, needed: CELL, options: { ...cell, ...gates, ...sequences } },
  lstm: {
    inputs: SEQUENCE,
    needed: CELL,
    options: { ...cell, ...gates, ...sequences, unitForgetBias: [false] },
  },
  simpleRNNCell: {
    inputs: SEQUENCE,
    needed: CELL,
    options: cell,
    make: inRnn(layers.simpleRNNCell),
  },
  gruCell: {
    inputs: SEQUENCE,
    needed: CELL,
    options: { ...cell, ...gates },
    make: inRnn(layers.gruCell),
  },
  lstmCell: {
    inputs: SEQUENCE,
    needed: CELL,
    options: { ...cell, ...gates, unitForgetBias: [false] },
    make: inRnn(layers.lstmCell),
  },
  rnn: {
    inputs: SEQUENCE,
    options: sequences,
    make: (options) => layers.rnn({ cell: layers.gruCell(CELL as never), ...options }),
  },
  stackedRNNCells: {
    inputs: SEQUENCE,
    options: {},
    make: inRnn(() =>
      layers.stackedRNNCells({
        cells: [layers.gruCell(CELL as never), layers.lstmCell({ ...CELL, units: 2 } as never)],
      }),
    ),
  },
  convLstm2d: {
    inputs: [[3, 4, 4, 4]],
    needed: { ...NEEDED, recurrentInitializer: 'glorotUniform' },
    options: {
      ...cell,
      filters: [3],
      kernelSize: [[2, 1]],
      strides: [[2, 2]],
      padding,
      dataFormat,
      dilationRate: [2],
      recurrentActivation: ['tanh'],
      unitForgetBias: [false],
      returnSequences: [true],
      returnState: [true],
    },
  },
  bidirectional: {
    inputs: SEQUENCE,
    options: { mergeMode: ['sum', 'mul', 'ave', null], layer: [{ returnSequences: true }] },
    make: ({ layer, ...options }) =>
      layers.bidirectional({
        mergeMode: 'concat',
        ...options,
        layer: layers.gru({ ...CELL, ...(layer as object) } as never),
      }),
  },
  timeDistributed: {
    inputs: [[3, 6, 6]],
    options: { layer: dataFormat },
    make: ({ layer }) =>
      layers.timeDistributed({
        layer: layers.conv1d({ ...NEEDED, dataFormat: layer as 'channelsFirst' }),
      }),
  },
  categoryEncoding: {
    inputs: [[1]],
    needed: { numTokens: 4 },
    options: { numTokens: [5], outputMode: ['oneHot', 'multiHot'] },
    behind: true,
  },
  centerCrop: {
    inputs: IMAGE,
    needed: { height: 3, width: 3 },
    options: { height: [2], width: [4] },
    behind: true,
  },
  rescaling: { inputs: IMAGE, needed: { scale: 0.5 }, options: { scale: [2], offset: [1] } },
};

/** Functions of `tf.layers` that have no row, and why. */
export const WITHOUT_ROW: Readonly<Record<string, string>> = {
  input: 'makes a tensor',
  inputLayer: 'in every model',
  avgPool1d: 'averagePooling1d',
  avgPool2d: 'averagePooling2d',
  avgPool3d: 'averagePooling3d',
  avgPooling1d: 'averagePooling1d',
  avgPooling2d: 'averagePooling2d',
  avgPooling3d: 'averagePooling3d',
  globalMaxPool1d: 'globalMaxPooling1d',
  globalMaxPool2d: 'globalMaxPooling2d',
  maxPool1d: 'maxPooling1d',
  maxPool2d: 'maxPooling2d',
  convLstm2dCell: 'the cell of convLstm2d, which makes its own',
  resizing: 'cannot be run in a model (tfjs 4.22): it takes the list of inputs for an image',
  randomWidth: 'cannot be run in a model (tfjs 4.22): it takes the list of inputs for an image',
};

/** A model of one layer, with the options that it needs and others. */
export function modelOf(name: string, options: Options = {}): LayersModel {
  const { inputs, needed, behind, make } = LAYERS[name]!;
  const all = { ...needed, ...options };
  const factory = layers[name as 'dense'] as unknown as (options: Options) => Layer;
  const layer = make ? make(all) : factory(all);
  const tensors = inputs.map((shape) => tfl.input({ shape: [...shape] }));
  const before = (x: SymbolicTensor) =>
    layers.dense({ units: x.shape.at(-1)!, activation: 'relu' }).apply(x) as SymbolicTensor;
  const fed = behind ? tensors.map(before) : tensors;
  const outputs = layer.apply(fed.length === 1 ? fed[0]! : fed);
  return tfl.model({ inputs: tensors, outputs: outputs as SymbolicTensor });
}

/** Each option of a layer alone, and none. */
export function variantsOf(name: string): readonly Options[] {
  const { options } = LAYERS[name]!;
  const each = Object.entries(options).flatMap(([option, values]) =>
    values.map((value) => ({ [option]: value })),
  );
  return [{}, ...each];
}
