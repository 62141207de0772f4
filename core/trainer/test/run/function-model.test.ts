import {
  crossEntropy,
  disposeModel,
  makeFunctionModel,
  meanSquaredError,
  memoryStore,
  Network,
  sgd,
} from '@espalier/core';
import type { EspalierError, ParameterValues } from '@espalier/core';
import {
  firstDifference,
  liveTensors,
  onBackend,
  tinyMlp,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Rank, Tensor, Variable } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { changing, open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

/** The variables of a tiny MLP, and the function that it is. */
function parts() {
  const model = tinyMlp();
  const copies = model.getWeights().map((weight) => tf.variable(weight));
  disposeModel(model);
  const [w1, b1, w2, b2] = copies as [
    Variable<Rank.R2>,
    Variable<Rank.R1>,
    Variable<Rank.R2>,
    Variable<Rank.R1>,
  ];
  const params = { w1, b1, w2, b2 };
  const apply = ({ w1, b1, w2, b2 }: ParameterValues<typeof params>, x: Tensor) =>
    tf.add(tf.matMul(tf.tanh(tf.add(tf.matMul(x, w1), b1)), w2), b2);
  return { params, apply, inputShape: [6] };
}

const PATHS = ['apply/w1', 'apply/b1', 'apply/w2', 'apply/b2'];

describe('a function of variables as a model', () => {
  test('trains the caller’s variables as the same layers train, and leaves them', async () => {
    const twin = tinyMlp();
    const { params, ...rest } = parts();
    Object.values<Variable>(params).forEach((variable, i) =>
      variable.assign(twin.getWeights()[i]!),
    );
    await withSession(open({ model: twin }), (session) => session.fit({ epochs: 2 }));
    const live = liveTensors();
    const model = makeFunctionModel({ params, ...rest });
    await withSession(open({ model }), async (session) => {
      expect(Object.keys(session.parameters())).toEqual(PATHS);
      await session.fit({ epochs: 2 });
      const values = (tensors: readonly Tensor[]) =>
        valuesOf(Object.fromEntries(tensors.map((tensor, i) => [String(i), tensor])));
      const [trained, due] = [values(Object.values(params)), values(twin.getWeights())];
      expect(firstDifference(trained, due)).toBeUndefined();
    });
    disposeModel(model);
    model.dispose();
    expect(liveTensors()).toBe(live);
    expect(Object.values(params).some(({ isDisposed }) => isDisposed)).toBe(false);
    tf.dispose(params);
    disposeModel(twin);
  });

  test('runs at substituted parameters, outputs by name, inputs by name, open lengths', () => {
    const w = tf.variable(tf.ones([3, 2]));
    const model = makeFunctionModel({
      params: { w },
      inputShape: { a: [null, 3], b: [3] },
      name: 'net',
      apply: ({ w }, { a, b }, { training }) => ({
        steps: tf.matMul(a, tf.broadcastTo(tf.expandDims(w), [a.shape[0]!, 3, 2])),
        sum: tf.mul(tf.matMul(b, w), training ? 2 : 1),
      }),
    });
    const network = new Network(model);
    expect(network.outputShapes).toEqual({ steps: [null, null, 2], sum: [null, 2] });
    expect(network.parameters.map(({ path }) => path)).toEqual(['net/w']);
    const seen = tf.tidy(() => {
      const inputs = { a: tf.ones([1, 7, 3]), b: tf.ones([1, 3]) };
      const substitute = new Map([['net/w', tf.fill([3, 2], 5)]]);
      const run = (training: boolean) => network.execute(inputs, { training, substitute }).outputs;
      return [run(false), run(true)].map(({ steps, sum }) => [
        steps!.shape.join(),
        ...sum!.dataSync(),
      ]);
    });
    expect(seen).toEqual([
      ['1,7,2', 15, 15],
      ['1,7,2', 30, 30],
    ]);
    w.dispose();
  });

  test('a variable that is frozen does not train, also when it is frozen later', async () => {
    const { params, apply, inputShape } = parts();
    params.w1.trainable = false;
    const index = tf.variable(tf.zeros([6], 'int32'));
    const model = makeFunctionModel({
      params: { ...params, index },
      inputShape,
      apply: (values, x) => apply(values, x),
    });
    await withSession(open({ model }), (session) => {
      const trains = () => Object.keys(session.parameters({ trainable: true }));
      expect(trains()).toEqual(PATHS.slice(1));
      params.w1.trainable = true;
      params.b2.trainable = false;
      expect(trains()).toEqual(PATHS.slice(0, 3));
      return Promise.resolve();
    });
    expect(params.b2.trainable).toBe(false);
    tf.dispose({ ...params, index });
  });

  test('resumes to the bit, random draws of the function included', async () => {
    const store = memoryStore();
    const make = () => {
      const { params, apply } = parts();
      const noisy: typeof apply = (values, x) => apply(values, tf.dropout(x, 0.3));
      return makeFunctionModel({ params, apply: noisy, inputShape: [6] });
    };
    const [model, again] = [make(), make()];
    const due = await withSession(
      open({ model, optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }) }),
      async (session) => {
        await session.fit({ epochs: 1 });
        await session.save(store);
        await session.fit({ epochs: 1 });
        return valuesOf(session.parameters());
      },
    );
    await withSession(
      open({ model: again, optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }) }),
      async (session) => {
        await session.load({ store });
        await session.fit({ epochs: 1 });
        expect(firstDifference(valuesOf(session.parameters()), due)).toBeUndefined();
      },
    );
    tf.dispose([model, again].map((each) => each.getWeights()));
  });

  const structural = (effects: Record<string, 'own' | 'modify'>) =>
    plugin('structural', { effects });
  test.each<[string, (model: LayersModel) => unknown]>([
    ['a plugin that edits', (model) => open({ model, plugins: [changing()] })],
    ['one that may', (model) => open({ model, plugins: [structural({ structure: 'own' })] })],
    [
      'one that changes a part',
      (model) => open({ model, plugins: [structural({ 'structure:exits': 'own' })] }),
    ],
    [
      'export',
      (model) => withSession(open({ model }), (session) => Promise.resolve(session.export())),
    ],
    ['a function that gives it', (model) => open({ model: () => model })],
    ['saving', (model) => model.toJSON()],
  ])('has no layers: %s is refused, plainly', async (_name, use) => {
    const { params, ...rest } = parts();
    const model = makeFunctionModel({ params, ...rest });
    const live = liveTensors();
    const error = await refusal(() => use(model));
    expect(error.code).toBe('model/no-layers');
    expect(error.message).toMatch(/the function 'apply'.*no layers that could be edited/);
    expect(liveTensors()).toBe(live);
    tf.dispose(params);
  });

  test('a plugin with a network of its own beside it is welcome', async () => {
    const { params, ...rest } = parts();
    const model = makeFunctionModel({ params, ...rest });
    const beside = plugin('beside', {
      effects: { 'structure:networks': 'add' },
      apply: (ctx) =>
        void (ctx as never as { addNetwork(make: () => LayersModel): void }).addNetwork(tinyMlp),
    });
    await withSession(open({ model, plugins: [beside] }), (session) => session.fit({ epochs: 1 }));
    tf.dispose(params);
  });
});

describe('a function model is refused by name:', () => {
  const made = (change: object) => {
    const { params, ...rest } = parts();
    const live = liveTensors();
    let error: unknown;
    try {
      makeFunctionModel({ params, ...rest, ...change });
    } catch (caught) {
      error = caught;
    }
    const left = liveTensors() - live;
    tf.dispose(params);
    return { error: error as EspalierError, left };
  };
  const disposed = () => {
    const gone = tf.variable(tf.zeros([1]));
    gone.dispose();
    return gone;
  };

  test.each<[string, () => object, string, RegExp]>([
    ['no params', () => ({ params: {} }), 'model/function', /params must be variables by name/],
    [
      'a tensor',
      () => ({ params: { w: tf.ones([1]) } }),
      'model/function',
      /'w' must be a tf.Variable/,
    ],
    ['a disposed one', () => ({ params: { w: disposed() } }), 'model/function', /'w' is disposed/],
    [
      'a name with a slash',
      () => ({ params: { 'a/w': tf.variable(tf.ones([1])) } }),
      'model/function',
      /no slash/,
    ],
    ['no function', () => ({ apply: 'x' }), 'model/function', /apply must be a function/],
    [
      'no shape',
      () => ({ inputShape: undefined }),
      'model/function',
      /inputShape must be the shape/,
    ],
    ['a shape with a batch of 0', () => ({ inputShape: [0, 6] }), 'model/function', /inputShape/],
    ['a wrong dtype', () => ({ inputDtype: 'float' }), 'model/function', /'float32' or 'int32'/],
    [
      'an output that is called like the input',
      () => ({ apply: (_: object, x: Tensor) => ({ input: x }) }),
      'model/function',
      /'input' is the name of two things/,
    ],
    ['it throws', () => ({ inputShape: [5] }), 'model/apply', /apply threw: .*matMul/],
    [
      'a Promise',
      () => ({ apply: () => Promise.resolve(tf.scalar(1)) }),
      'model/apply',
      /returned a Promise/,
    ],
    [
      'numbers',
      () => ({ apply: () => 3 }),
      'model/apply',
      /must return a tensor, or tensors by name/,
    ],
    ['no outputs', () => ({ apply: () => ({}) }), 'model/apply', /must return a tensor/],
    [
      'a list',
      () => ({ apply: (_: object, x: Tensor) => [x] }),
      'model/apply',
      /must return a tensor/,
    ],
    [
      'something among tensors',
      () => ({ apply: (_: object, x: Tensor) => ({ x, n: 1 }) }),
      'model/apply',
      /'n' of what apply returns is none/,
    ],
    [
      'a scalar',
      () => ({ apply: (_: object, x: Tensor) => tf.sum(x) }),
      'model/apply',
      /must have 2 rows/,
    ],
  ])('%s', (_name, change, code, message) => {
    const given = change();
    const { error, left } = made(given);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(left).toBe(0);
    tf.dispose(given as object as tf.TensorContainer);
  });

  test('in a step: other outputs than for zeros, with the layer’s name', async () => {
    const { params, apply } = parts();
    let calls = 0;
    const model = makeFunctionModel({
      params,
      inputShape: [6],
      apply: (values: Parameters<typeof apply>[0], x: Tensor) =>
        calls++ === 0 ? apply(values, x) : tf.sum(apply(values, x), 1),
    });
    await withSession(open({ model }), async (session) => {
      const error = await refusal(() => session.fit({ epochs: 1 }));
      expect(error.code).toBe('model/apply');
      expect(error.message).toMatch(/tried with zeros and returned a tensor of shape \[batch, 3\]/);
    });
    tf.dispose(params);
  });

  test('losses by the names of outputs', async () => {
    const { params, apply } = parts();
    const model = makeFunctionModel({
      params,
      inputShape: [6],
      apply: (values: Parameters<typeof apply>[0], x: Tensor) => {
        const logits = apply(values, x);
        return { logits, size: tf.sum(logits, 1, true) };
      },
    });
    const loss = { logits: crossEntropy(), size: meanSquaredError() };
    await withSession(open({ model, loss, train: undefined }), async (session) => {
      const raw = {
        x: tf.ones([2, 6]),
        y: { logits: tf.tensor1d([0, 1], 'int32'), size: tf.ones([2, 1]) },
      };
      const { terms } = await session.step(raw);
      expect(Object.keys(terms)).toHaveLength(2);
      tf.dispose([raw.x, raw.y]);
    });
    tf.dispose(params);
  });
});
