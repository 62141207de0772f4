import '@tensorflow/tfjs-backend-cpu';
import { disposeModel, isPlainClass, plainModel, unplainLayers } from '@espalier/model';
import type { HasPlainLayer, PlainLayer } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';

beforeAll(async () => void (await tf.setBackend('cpu')));
const made: LayersModel[] = [];
afterEach(() => made.splice(0).forEach(disposeModel));
const given = (model: LayersModel) => {
  made.push(model);
  return model;
};

/** A dense layer without bias that keeps half of its kernel's numbers. */
class Halved extends tfl.layers.Layer implements HasPlainLayer {
  static readonly className = 'Halved';

  override build([, inputs]: number[]): void {
    this.addWeight('half', [inputs!, 2], 'float32', tfl.initializers.ones());
    this.built = true;
  }

  override computeOutputShape([batch]: number[]): number[] {
    return [batch!, 2];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => tf.matMul([inputs].flat()[0]!, tf.mul(this.weights[0]!.read(), 2)));
  }

  plainLayer(): PlainLayer {
    const config = { ...this.getConfig(), units: 2, useBias: false };
    return { className: 'Dense', config, weights: { kernel: tf.mul(this.weights[0]!.read(), 2) } };
  }
}
tf.serialization.registerClass(Halved);

const halved = () => {
  const input = tfl.input({ shape: [3] });
  const hidden = new Halved({ name: 'first' }).apply(input) as tfl.SymbolicTensor;
  const output = tfl.layers.dense({ name: 'last', units: 1 }).apply(hidden);
  return given(tfl.model({ inputs: input, outputs: output as tfl.SymbolicTensor }));
};

describe('plainModel', () => {
  it('puts plain layers in place, predicts the same, and leaves nothing behind', () => {
    const model = halved();
    const before = tf.memory().numTensors;
    const plain = plainModel(model);
    expect(plain.layers.map((layer) => layer.getClassName())).toEqual([
      'InputLayer',
      'Dense',
      'Dense',
    ]);
    expect(plain.getLayer('first').getWeights()[0]!.dataSync()).toEqual(
      new Float32Array(6).fill(2),
    );
    tf.tidy(() => {
      const x = tf.tensor2d([1, -2, 3, 0.5, 0, 1], [2, 3]);
      const [mine, theirs] = [model, plain].map((each) =>
        (each.predict(x) as tf.Tensor).dataSync(),
      );
      expect(mine).toEqual(theirs);
    });
    disposeModel(plain);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('refuses such a layer inside a nested model, by its path', () => {
    const input = tfl.input({ shape: [3] });
    const outputs = halved().apply(input) as tfl.SymbolicTensor;
    const outer = tfl.model({ inputs: input, outputs });
    expect(() => plainModel(outer)).toThrow(
      /'[^']*\/first' is inside a nested model.*compressed-inside/,
    );
  });
});

describe('unplainLayers', () => {
  it('names layers of other classes than those of TensorFlow.js', () => {
    expect(unplainLayers(halved())).toEqual([{ path: 'first', className: 'Halved' }]);
  });

  const units = { units: 1 };
  const cell = () => tfl.layers.lstmCell(units);
  const ARGUMENTS: Readonly<Record<string, () => unknown>> = {
    activation: () => ({ activation: 'relu' }),
    bidirectional: () => ({ layer: tfl.layers.lstm(units) }),
    categoryEncoding: () => ({ numTokens: 2 }),
    cropping2D: () => ({ cropping: 1 }),
    centerCrop: () => ({ height: 1, width: 1 }),
    dot: () => ({ axes: 1 }),
    embedding: () => ({ inputDim: 2, outputDim: 1 }),
    inputLayer: () => ({ inputShape: [1] }),
    permute: () => ({ dims: [1] }),
    repeatVector: () => ({ n: 2 }),
    rescaling: () => ({ scale: 1 }),
    reshape: () => ({ targetShape: [1] }),
    resizing: () => ({ height: 1, width: 1 }),
    randomWidth: () => ({ factor: 0.5 }),
    rnn: () => ({ cell: cell() }),
    stackedRNNCells: () => ({ cells: [cell()] }),
    timeDistributed: () => ({ layer: tfl.layers.dense(units) }),
  };
  const anything = { ...units, filters: 1, kernelSize: 1, rate: 0.1, stddev: 1, poolSize: 1 };
  const factories = Object.entries(tfl.layers).filter(
    ([name]) => /^[a-z]/.test(name) && name !== 'input',
  );

  it.each(factories)('knows the class of tf.layers.%s', (name, make) => {
    const built = (make as (args: unknown) => tfl.layers.Layer)(ARGUMENTS[name]?.() ?? anything);
    expect(isPlainClass(built.getClassName())).toBe(true);
  });
});
