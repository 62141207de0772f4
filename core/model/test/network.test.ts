import { keyedRng } from '@espalier/core';
import { currentLayer, disposeModel, extractGraph, Network, withKeyedInit } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { apply, initStreams, inputsFor, leftBehind, lstm, MODELS, valuesOf } from './models.js';

const { layers } = tfl;
const made: LayersModel[] = [];

beforeAll(async () => void (await tf.setBackend('cpu')));
afterEach(() => made.splice(0).forEach(disposeModel));

function given(make: () => LayersModel): LayersModel {
  const model = withKeyedInit(initStreams, make);
  made.push(model);
  return model;
}
const streams = (salt: string) => (layer: string) => keyedRng(salt, layer);

/** A layer whose call is a function. */
class Calling extends tfl.layers.Layer {
  static readonly className = 'TestCalling';
  readonly #fn: (x: Tensor) => Tensor;
  constructor(name: string, fn: (x: Tensor) => Tensor) {
    super({ name });
    this.#fn = fn;
  }
  override call(inputs: Tensor | Tensor[]) {
    return this.#fn(Array.isArray(inputs) ? inputs[0]! : inputs);
  }
}

const withLayer = (layer: tfl.layers.Layer) =>
  given(() => {
    const x = tfl.input({ shape: [2], name: 'x' });
    return tfl.model({ inputs: x, outputs: apply(layer, x) });
  });

describe.each(Object.entries(MODELS))('execute: %s', (_, make) => {
  it('gives what predict gives, by name, and leaves nothing else', () => {
    const model = given(make);
    const network = new Network(model);
    const inputs = inputsFor(model, network.inputNames);
    const options = { training: false, features: [network.inputNames[0]!] };
    tf.dispose(network.execute(inputs, options) as never);
    const leaked = leftBehind(() => {
      const predicted = [model.predict(Object.values(inputs))].flat() as Tensor[];
      const { outputs, features } = network.execute(inputs, options);
      expect(Object.keys(outputs)).toEqual(network.outputNames);
      const wanted = Object.fromEntries(
        network.outputNames.map((name, i) => [name, predicted[i]!]),
      );
      expect(valuesOf(outputs)).toEqual(valuesOf(wanted));
      expect(valuesOf(features)).toEqual(
        valuesOf({ [network.inputNames[0]!]: Object.values(inputs)[0]! }),
      );
      tf.dispose([predicted, outputs, features] as never);
    });
    expect(leaked).toBe(0);
    tf.dispose(inputs);
  });

  it('runs at substituted parameters as if they were its own', () => {
    const [model, other] = [given(make), given(make)];
    const network = new Network(model);
    const inputs = inputsFor(model, network.inputNames);
    tf.tidy(() => {
      const doubled = network.parameters.map(
        ({ path, variable }) => [path, tf.mul(variable.read(), 2)] as const,
      );
      const before = valuesOf(extractGraph(model).weights);
      const { outputs } = network.execute(inputs, {
        training: false,
        substitute: new Map(doubled),
      });
      const twin = new Network(other);
      twin.parameters.forEach(({ variable }, i) => variable.write(doubled[i]![1]));
      expect(valuesOf(outputs)).toEqual(
        valuesOf(twin.execute(inputs, { training: false }).outputs),
      );
      expect(valuesOf(extractGraph(model).weights)).toEqual(before);
    });
    tf.dispose(inputs);
  });
});

describe('moving statistics', () => {
  const statistics = (network: Network) =>
    valuesOf(
      Object.fromEntries(
        network.parameters.filter((p) => !p.trainable).map((p) => [p.path, p.variable.read()]),
      ),
    );
  const start = () => {
    const model = given(MODELS['sequential']!);
    const network = new Network(model);
    const run = (writes?: 'apply' | 'discard' | Map<string, Tensor>) =>
      tf.tidy(() => {
        const inputs = inputsFor(model, network.inputNames);
        const { outputs } = network.execute(inputs, {
          training: true,
          writes,
          random: streams('bn'),
        });
        return valuesOf(outputs);
      });
    return { network, run };
  };

  it('stay as they are unless asked', () => {
    const { network, run } = start();
    const before = statistics(network);
    const leaked = leftBehind(() => {
      run();
      run('discard');
    });
    expect(statistics(network)).toEqual(before);
    expect(leaked).toBe(0);
  });

  it('are collected as they would be applied, run after run', () => {
    const [collecting, applying] = [start(), start()];
    const before = statistics(collecting.network);
    const collected = new Map<string, Tensor>();
    const leaked = leftBehind(() => {
      for (let i = 0; i < 3; i++) {
        expect(collecting.run(collected)).toEqual(applying.run('apply'));
      }
    });
    expect(leaked).toBe(2);
    expect(statistics(collecting.network)).toEqual(before);
    expect(valuesOf(Object.fromEntries(collected))).toEqual(statistics(applying.network));
    expect(statistics(applying.network)).not.toEqual(before);
    tf.dispose([...collected.values()]);
  });
});

describe('random layers', () => {
  const drops = (extra: boolean) =>
    given(() => {
      const x = tfl.input({ shape: [50], name: 'x' });
      const before = extra ? apply(layers.gaussianNoise({ stddev: 1, name: 'noise' }), x) : x;
      const dropped = apply(layers.dropout({ rate: 0.5, name: 'drop' }), before);
      return tfl.model({ inputs: x, outputs: dropped });
    });
  const zeros = (model: LayersModel, salt: string) =>
    tf.tidy(() => {
      const random = streams(salt);
      const { outputs } = new Network(model).execute(
        { x: tf.ones([4, 50]) },
        { training: true, random },
      );
      return Object.values(valuesOf(outputs))[0]!.map((value) => value === 0);
    });

  it('draw from their own stream: replayed by it, changed with it, not shifted by others', () => {
    const model = drops(false);
    expect(zeros(model, 'a')).toEqual(zeros(model, 'a'));
    expect(zeros(model, 'b')).not.toEqual(zeros(model, 'a'));
    expect(zeros(drops(true), 'a')).toEqual(zeros(model, 'a'));
  });

  it('differ between the calls of a shared layer', () => {
    const model = given(() => {
      const x = tfl.input({ shape: [50], name: 'x' });
      const drop = layers.dropout({ rate: 0.5, name: 'drop' });
      return tfl.model({ inputs: x, outputs: [apply(drop, x), apply(drop, x)] });
    });
    tf.tidy(() => {
      const inputs = { x: tf.ones([4, 50]) };
      const network = new Network(model);
      const { outputs } = network.execute(inputs, { training: true, random: streams('a') });
      const values = valuesOf(outputs);
      expect(values['drop#2']).not.toEqual(values['drop']);
    });
  });

  it('inside nested models are asked for by path, and Math.random comes back', () => {
    const original: unknown = Reflect.get(Math, 'random');
    const inner = () =>
      tfl.sequential({ layers: [layers.dropout({ rate: 0.5, inputShape: [2] })], name: 'inner' });
    const network = new Network(withLayer(inner()), 'aux:');
    const asked: string[] = [];
    tf.tidy(() => {
      const random = (layer: string) => {
        asked.push(layer);
        return keyedRng(layer);
      };
      network.execute({ x: tf.ones([1, 2]) }, { training: true, random });
    });
    expect(asked).toEqual(['aux:inner', 'aux:inner/dropout_1']);
    expect(Reflect.get(Math, 'random')).toBe(original);
  });

  it('in recurrent cells replay too, and the tensor count stays flat', () => {
    const model = given(() => {
      const x = tfl.input({ shape: [3, 4], name: 'x' });
      return tfl.model({ inputs: x, outputs: apply(lstm({ units: 2, dropout: 0.5 }), x) });
    });
    const network = new Network(model);
    const run = (salt: string) =>
      tf.tidy(() => {
        const inputs = { x: tf.ones([2, 3, 4]) };
        return valuesOf(network.execute(inputs, { training: true, random: streams(salt) }).outputs);
      });
    const first = run('a');
    expect(leftBehind(() => expect(run('a')).toEqual(first))).toBe(0);
    expect(run('b')).not.toEqual(first);
  });
});

describe('derivatives through substituted parameters', () => {
  /** A loss of all parameters as one function of tensors in the order of `paths`. */
  function lossOf(model: LayersModel) {
    const network = new Network(model);
    const inputs = Object.fromEntries(
      Object.entries(inputsFor(model, network.inputNames)).map(([k, x]) => [k, tf.sin(x)]),
    );
    const paths = network.parameters.filter((p) => p.trainable).map((p) => p.path);
    const values = network.parameters
      .filter((p) => p.trainable)
      .map((p) => tf.clone(p.variable.read()));
    const loss = (...xs: Tensor[]): Scalar =>
      tf.tidy(() => {
        const substitute = new Map(paths.map((path, i) => [path, xs[i]!]));
        const options = { training: true, substitute, random: streams('fd') };
        const { outputs } = network.execute(inputs, options);
        return tf.addN(Object.values(outputs).map((y) => tf.mean(tf.square(y)))) as Scalar;
      });
    return { loss, values };
  }
  /** About the way of `grads`, so that the slope is far above rounding, and not quite it. */
  const about = (grads: readonly Tensor[]) =>
    grads.map((g, i) => tf.mul(g, tf.randomUniform(g.shape, 0.2, 1.8, 'float32', `${i}`)));
  const moved = (values: readonly Tensor[], along: readonly Tensor[], by: number) =>
    values.map((v, i) => tf.add(v, tf.mul(along[i]!, by)));
  const inner = (a: readonly Tensor[], b: readonly Tensor[]) =>
    tf.addN(a.map((x, i) => tf.sum(tf.mul(x, b[i]!)))).dataSync()[0]!;

  it.each(['sequential', 'shared layer', 'nested model called twice', 'residual with two outputs'])(
    'first order matches finite differences: %s',
    (name) => {
      const model = given(MODELS[name]!);
      const leaked = leftBehind(() =>
        tf.tidy(() => {
          const { loss, values } = lossOf(model);
          const grads = tf.grads(loss)([...values]);
          const along = about(grads);
          const h = 1e-2 / Math.sqrt(inner(along, along));
          const [up, down] = [h, -h].map((by) => loss(...moved(values, along, by)).dataSync()[0]!);
          const slope = (up! - down!) / (2 * h);
          expect(inner(grads, along) / slope).toBeCloseTo(1, 2);
        }),
      );
      expect(leaked).toBe(0);
    },
  );

  it('second order matches finite differences of the gradient', () => {
    const model = given(() => {
      const x = tfl.input({ shape: [3] });
      const [a, b] = [layers.dense({ units: 4 }), layers.dense({ units: 4 })];
      const product = apply(layers.multiply(), apply(a, x), apply(b, x));
      return tfl.model({ inputs: x, outputs: apply(layers.dense({ units: 2 }), product) });
    });
    tf.tidy(() => {
      const { loss, values } = lossOf(model);
      const along = about(tf.grads(loss)([...values]));
      const slope = (...xs: Tensor[]): Scalar => {
        const grads = tf.grads(loss)(xs);
        return tf.addN(grads.map((g, i) => tf.sum(tf.mul(g, along[i]!)))) as Scalar;
      };
      const product = tf.grads(slope)([...values]);
      const probe = about(product);
      const h = 1e-2 / Math.sqrt(inner(probe, probe));
      const [up, down] = [h, -h].map((by) => slope(...moved(values, probe, by)).dataSync()[0]!);
      expect(inner(product, probe) / ((up! - down!) / (2 * h))).toBeCloseTo(1, 2);
    });
  });
});

describe('a failing layer', () => {
  const failing = () =>
    withLayer(
      new Calling('broken', () => {
        throw new Error('out of luck');
      }),
    );

  it('is named, with its cause, and everything is put back', () => {
    const network = new Network(failing());
    const prototypes = [tfl.layers.Layer.prototype, tfl.LayerVariable.prototype];
    const methods = () =>
      prototypes.flatMap((each) => ['apply', 'read', 'write'].map((key) => Reflect.get(each, key)));
    const before = methods();
    const x = tf.ones([1, 2]);
    const leaked = leftBehind(() => {
      const run = () => network.execute({ x }, { training: true, random: streams('a') });
      expect(run).toThrow(/layer 'broken' failed: out of luck.*model\/layer-failed/s);
      expect(run).toThrow(expect.objectContaining({ cause: new Error('out of luck') }));
    });
    expect(leaked).toBe(0);
    expect(methods()).toEqual(before);
    expect(currentLayer()).toBeUndefined();
    x.dispose();
  });

  it('can be asked for while it runs', () => {
    const seen: (string | undefined)[] = [];
    const spy = new Calling('spy', (x) => {
      seen.push(currentLayer());
      return tf.neg(x);
    });
    const network = new Network(withLayer(spy));
    tf.tidy(() => network.execute({ x: tf.ones([1, 2]) }, { training: false }));
    expect(seen).toEqual(['spy']);
  });

  it('may itself run another network', () => {
    const inner = new Network(given(MODELS['sequential']!));
    const input = inner.inputNames[0]!;
    const layer = new Calling('outer', (x) => {
      const fed = { [input]: tf.slice(tf.concat([x, x], 1), [0, 0], [-1, 3]) };
      return inner.execute(fed, { training: true, random: streams('inner') }).outputs['head']!;
    });
    const network = new Network(withLayer(layer));
    tf.tidy(() => {
      const { outputs } = network.execute({ x: tf.ones([2, 2]) }, { training: true });
      expect(outputs['outer']!.shape).toEqual([2, 2]);
    });
  });
});

describe('what a network refuses', () => {
  const model = () => given(MODELS['sequential in sequential']!);
  const run = (inputs: Record<string, Tensor>, features: string[] = []) =>
    tf.tidy(() => new Network(model()).execute(inputs, { training: false, features }));

  it.each<[string, () => unknown, RegExp]>([
    [
      'a missing input',
      () => run({ image: tf.ones([1, 3]) }),
      /'input_1' .*\[batch, 3\].*\["image"\].*model\/input/s,
    ],
    [
      'a wrong shape',
      () => run({ input_1: tf.ones([2, 4]) }),
      /\[batch, 3\].*\[2, 4\].*model\/input/s,
    ],
    ['a wrong rank', () => run({ input_1: tf.ones([3]) }), /\[batch, 3\].*\[3\]/s],
    [
      'an unknown feature',
      () => run({ input_1: tf.ones([1, 3]) }, ['midle']),
      /Did you mean 'middle'\?/,
    ],
    [
      'a feature inside a nested model',
      () => run({ input_1: tf.ones([1, 3]) }, ['middle/dense_1']),
      /no layer 'middle\/dense_1'.*Known: .*middle/s,
    ],
    [
      'a feature of a shared layer',
      () => {
        const shared = given(MODELS['shared layer']!);
        const x = tf.ones([1, 3]);
        const options = { training: false, features: ['dense_1'] };
        return tf.tidy(() => new Network(shared).execute({ input_1: x, input_2: x }, options));
      },
      /has 2 calls.*model\/shared-layer/s,
    ],
    [
      'what is no model',
      () => new Network({ predict: () => 1 } as never),
      /two copies.*session\/two-tfjs/s,
    ],
    ['a model without layers', () => new Network(tfl.sequential()), /model\/empty/],
    [
      'a stateful layer',
      () => {
        const args = { units: 2, stateful: true, recurrentInitializer: 'zeros' } as const;
        const recurrent = layers.gru({ ...args, batchInputShape: [1, 3, 2], name: 'memory' });
        return new Network(given(() => tfl.sequential({ layers: [recurrent] })));
      },
      /layer 'memory' is stateful.*model\/stateful/s,
    ],
  ])('%s', (_, act, message) => {
    expect(act).toThrow(message);
  });
});
