import type { ModelEdit, Plugin, SessionConfig } from '@espalier/core';
import { liveTensors, onBackend, tinyNoisyMlp, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const later = <T>(value: T) => Promise.resolve(value);

/** All that a model is to who holds it: its weights, statistics included, and what it predicts. */
function stateOf(model: LayersModel): number[][] {
  return tf.tidy(() => {
    const outputs = [model.predict(tf.reshape(tf.linspace(-1, 1, 12), [2, 6]))].flat();
    return [...model.getWeights(), ...outputs].map((tensor) => [...tensor.dataSync()]);
  });
}

/** A new head on layers of a model: the weights of these are shared. */
function headOn(base: LayersModel): LayersModel {
  const features = base.getLayer('tanh').output as SymbolicTensor;
  const head = tfl.layers.dense({ name: 'head', units: 3 });
  return tfl.model({ inputs: base.inputs, outputs: head.apply(features) as SymbolicTensor });
}

function nested(base: LayersModel): LayersModel {
  const head = tfl.layers.dense({ name: 'head', units: 3 });
  return tfl.sequential({ layers: [base, head] });
}

/** A structural plugin whatever the model: it puts the same model in the model's place. */
function rebuilding(): Plugin {
  return plugin('rebuilding', {
    apply(ctx) {
      const { edit } = ctx as never as { edit(change: ModelEdit): void };
      edit((graph) => graph);
      ctx.hooks.transform.tap(() => edit((graph) => graph));
    },
  });
}

const FUNCTIONS: Readonly<Record<string, (trained: LayersModel) => SessionConfig['model']>> = {
  'gives it': (trained) => () => trained,
  'gives it later': (trained) => () => later(trained),
  'puts a head on layers of it': (trained) => () => headOn(trained),
  'nests it': (trained) => () => nested(trained),
};

const PLUGINS: Readonly<Record<string, () => readonly Plugin[]>> = {
  'no plugin': () => [],
  'a plugin that changes the structure': () => [rebuilding()],
};

const RUNS = Object.keys(FUNCTIONS).flatMap((how) =>
  Object.keys(PLUGINS).map((plugins) => [how, plugins] as const),
);

describe('a trained model of which a function makes the run’s model', () => {
  test.each(RUNS)('%s, with %s: it stays as it was throughout', async (how, which) => {
    const trained = tinyNoisyMlp();
    const before = stateOf(trained);
    const live = liveTensors();
    const plugins = PLUGINS[which]!();
    await withSession(open({ model: FUNCTIONS[how]!(trained), plugins }), async (session) => {
      const own = session.model.getWeights()[0]!.dataSync();
      expect(own).toEqual(trained.getWeights()[0]!.dataSync());
      expect(stateOf(trained)).toEqual(before);
      await session.fit({ epochs: 1 });
      expect(stateOf(trained)).toEqual(before);
      expect(session.model.getWeights()[0]!.dataSync()).not.toEqual(own);
      if (plugins.length > 0) await session.transform();
      expect(stateOf(trained)).toEqual(before);
    });
    expect(stateOf(trained)).toEqual(before);
    expect(liveTensors()).toBe(live);
    trained.dispose();
  });

  test.each(Object.keys(PLUGINS))(
    'given itself, with %s: it is trained in place and never disposed',
    async (which) => {
      const trained = tinyNoisyMlp();
      const before = stateOf(trained);
      const live = liveTensors();
      const plugins = PLUGINS[which]!();
      await withSession(open({ model: trained, plugins }), async (session) => {
        await session.fit({ epochs: 1 });
        expect(session.model === trained).toBe(plugins.length === 0);
        expect(stateOf(session.model)).toEqual(stateOf(trained));
        expect(stateOf(trained)).not.toEqual(before);
      });
      expect(liveTensors()).toBe(live);
      trained.dispose();
    },
  );

  test('what a function makes is the run’s, and disposed with it', async () => {
    let made!: LayersModel;
    const live = liveTensors();
    const model = () => (made = tinyNoisyMlp());
    await withSession(open({ model }), async (session) => expect(session.model).toBe(made));
    expect(liveTensors()).toBe(live);
  });

  test('a function that gives one model twice: the second run copies, or refuses what is disposed', async () => {
    let cached: LayersModel | undefined;
    const model = () => (cached ??= tinyNoisyMlp());
    const first = await open({ model });
    await withSession(open({ model }), async (second) => {
      await first.fit({ epochs: 1 });
      await first.dispose();
      await second.fit({ epochs: 1 });
    });
    const error = await refusal(() => open({ model }));
    expect(error.code).toBe('model/disposed');
    expect(error.message).toMatch(/'hidden\/kernel' is disposed already.*make a new model in each/);
  });

  test('a plugin’s own network that existed before is copied too', async () => {
    const guide = tinyNoisyMlp();
    const before = stateOf(guide);
    const live = liveTensors();
    const guiding = plugin('guiding', {
      effects: { loss: 'add', 'structure:guide': 'add' },
      apply(ctx) {
        const network = (
          ctx as never as { addNetwork(make: () => LayersModel): { execute(x: object): object } }
        ).addNetwork(() => guide);
        ctx.hooks.loss.tap(({ batch, terms, mean }) => {
          const { logits } = network.execute(batch.inputs) as { logits: tf.Tensor2D };
          terms.add('size', mean(tf.sum(tf.square(logits), 1) as tf.Tensor1D));
        });
      },
    });
    await withSession(open({ plugins: [guiding] }), async (session) => {
      await session.fit({ epochs: 1 });
      const own = session.parameters()['guiding:hidden/kernel']!.dataSync();
      expect([...own]).not.toEqual(before[0]);
    });
    expect(stateOf(guide)).toEqual(before);
    expect(liveTensors()).toBe(live);
    guide.dispose();
  });

  test('it cannot be copied: the refusal says so, and how to train it in place', async () => {
    class Unregistered extends tfl.layers.Layer {
      override call(inputs: tf.Tensor | tf.Tensor[]) {
        return tf.mul(Array.isArray(inputs) ? inputs[0]! : inputs, 2);
      }
    }
    const layers = [
      tfl.layers.dense({ name: 'logits', units: 3, inputShape: [6] }),
      new Unregistered({ name: 'twice' }),
    ];
    const trained = tfl.sequential({ layers });
    const error = await refusal(() => open({ model: () => trained }));
    expect(error.code).toBe('model/unregistered-layer');
    expect(error.message).toMatch(/existed before, so the run needs a copy.*'twice'.*in place/s);
    await withSession(open({ model: trained }), (session) => session.fit({ epochs: 1 }));
    trained.dispose();
  });
});

describe('what is no function that makes a model', () => {
  const graphModel = { predict: () => undefined, executeAsync: () => undefined };
  test.each<[string, unknown, RegExp]>([
    [
      'a function of tensors',
      (x: { matMul(w: tf.Tensor): tf.Tensor }) => x.matMul(tf.eye(6)),
      /called without arguments, threw.*matMul.*no function of tensors/,
    ],
    ['one that returns a tensor', () => tf.scalar(1), /Received: a float32 tensor/],
    ['one that returns such a function', () => () => tf.scalar(1), /no function of tensors/],
    ['one that returns nothing', () => undefined, /Received: undefined/],
    ['a class', class Net {}, /called without arguments, threw.*'new'/],
    ['one that fails', () => Promise.reject(new Error('no such file')), /threw: no such file/],
    ['a converted graph', () => graphModel, /tf\.GraphModel.*tf\.loadLayersModel/],
  ])('%s', async (_, model, message) => {
    const error = await refusal(() => open({ model: model as never }));
    expect(error.code).toBe('session/model');
    expect(error.message).toMatch(message);
  });
});
