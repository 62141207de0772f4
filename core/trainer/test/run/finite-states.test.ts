import { adam, arraySource, meanSquaredError, memoryStore, sgd } from '@espalier/core';
import type { Session, SessionConfig } from '@espalier/core';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const EXAMPLES = 4;

/** One step an epoch; `large` is one of the inputs. */
function data(large = 1) {
  const x = new Float32Array(EXAMPLES * 3).map((_, i) => (i === 4 ? large : i / 10));
  return arraySource({
    x: { data: x, shape: [EXAMPLES, 3] },
    y: { data: new Float32Array(EXAMPLES), shape: [EXAMPLES, 1] },
    batchSize: EXAMPLES,
  });
}

const linear = (units = 1) =>
  tfl.sequential({ layers: [tfl.layers.dense({ units, inputShape: [3], name: 'hidden' })] });

function normalized() {
  const first = tfl.layers.batchNormalization({ inputShape: [3], name: 'norm' });
  return tfl.sequential({ layers: [first, tfl.layers.dense({ units: 1, name: 'out' })] });
}

const openOn = (more: Partial<SessionConfig>) =>
  open({
    model: () => linear(),
    loss: meanSquaredError(),
    train: data(),
    checkpoint: { store: memoryStore() },
    ...more,
  });

/** Gradients that a plugin puts in place of its own. */
const gradientsOf = (value: (gradient: tf.Tensor) => tf.Tensor) =>
  plugin('spoiler', {
    effects: { gradients: 'modify' },
    apply: ({ hooks }) =>
      hooks.gradients.tap((gradients) =>
        Object.fromEntries(Object.entries(gradients).map(([path, each]) => [path, value(each)])),
      ),
  });

const valuesOf = async (session: Session) =>
  Promise.all(Object.values(session.parameters()).map((value) => value.data()));

describe('moving statistics', () => {
  it.each([1, 2])(
    'that overflow end the step before it changes anything; accumulate: %i',
    async (accumulate) => {
      const train = arraySource({
        x: { data: Float32Array.of(1, 2, 3, 4, 3.4e38, 6, 7, 8, 9, 1, 1, 1), shape: [4, 3] },
        y: { data: new Float32Array(4), shape: [4, 1] },
        batchSize: EXAMPLES / accumulate,
      });
      const session = await openOn({ model: normalized, train, accumulate });
      const before = await valuesOf(session);
      const error = await refusal(() => session.fit({ epochs: 1 }));
      expect(error.code).toBe('step/non-finite');
      expect(error.message).toContain("the moving statistic 'norm/moving_variance' is not finite");
      expect(error.message).toContain("(the data hold 3.3999999521443642e+38 in 'norm_input'");
      expect(await valuesOf(session)).toEqual(before);
      await session.dispose();
    },
  );
});

describe('a checkpoint', () => {
  it('of weights that overflowed is refused; the last good one is intact', async () => {
    const store = memoryStore();
    const optimizer = sgd({ learningRate: (step) => (step < 1 ? 0.01 : 3e38) });
    const session = await openOn({ optimizer, train: data(50), checkpoint: { store } });
    const error = await refusal(() => session.fit({ epochs: 2 }));
    expect(error.code).toBe('checkpoint/non-finite');
    expect(error.message).toContain("of 'parameters/hidden/kernel' is not finite");
    expect(await store.list()).toEqual(['step-000000001.safetensors']);
    const { numTensors } = tf.memory();
    expect(await session.load()).toBe(true);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect((await valuesOf(session)).flatMap((each) => [...each]).every(Number.isFinite)).toBe(
      true,
    );
    await session.dispose();
  });

  it('of optimizer state that overflowed is refused', async () => {
    const plugins = [gradientsOf((each) => tf.fill(each.shape, 1e25))];
    const session = await openOn({ optimizer: adam(), plugins });
    const error = await refusal(() => session.fit({ epochs: 1 }));
    expect(error.message).toContain("'slots/adam/v/hidden/kernel' is not finite");
    await session.dispose();
  });

  it('of a plugin’s tensor that is not finite is refused', async () => {
    const value = tf.scalar(NaN);
    const keeper = plugin('keeper', {
      stateless: false,
      apply: (ctx) =>
        ctx.keepState({
          version: 1,
          save: () => ({ tensors: { m: value } }),
          load: () => undefined,
        }),
    });
    const session = await openOn({ plugins: [keeper] });
    const error = await refusal(() => session.save());
    expect(error.message).toContain("'states/keeper/m' is not finite");
    await session.dispose();
    value.dispose();
  });

  it('keeps a frozen weight that was infinite from the beginning', async () => {
    const store = memoryStore();
    const masked = () => {
      const model = linear();
      model.layers[0]!.setWeights([tf.tensor2d([-Infinity, 1, 1], [3, 1]), tf.tensor1d([0])]);
      model.add(tfl.layers.dense({ units: 1, name: 'out' }));
      model.layers[0]!.trainable = false;
      return model;
    };
    const config = { model: masked, checkpoint: { store } };
    const first = await openOn(config);
    await first.save();
    await first.dispose();
    const second = await openOn(config);
    await second.load();
    await second.save();
    await second.dispose();
  });
});

describe('large gradients', () => {
  const wide = () => linear(2000);
  const train = arraySource({
    x: { data: new Float32Array(EXAMPLES * 3), shape: [EXAMPLES, 3] },
    y: { data: new Float32Array(EXAMPLES * 2000), shape: [EXAMPLES, 2000] },
    batchSize: EXAMPLES,
  });

  it('of 3e38 are finite though their sum is not', async () => {
    const plugins = [gradientsOf((each) => tf.fill(each.shape, 3e38))];
    const optimizer = sgd({ learningRate: 1e-30 });
    const session = await openOn({ model: wide, train, plugins, optimizer });
    const { status } = await session.fit({ epochs: 1 });
    expect(status).toBe('completed');
    await session.dispose();
  });

  it('of which one is infinite end the step', async () => {
    const spoil = ({ shape, size }: tf.Tensor) => {
      const isFifth = tf.equal(tf.reshape(tf.range(0, size), shape), 5);
      return tf.where(isFifth, Infinity, tf.fill(shape, 3e38));
    };
    const session = await openOn({ model: wide, train, plugins: [gradientsOf(spoil)] });
    const error = await refusal(() => session.fit({ epochs: 1 }));
    expect(error.message).toContain("the gradient of 'hidden/kernel' is not finite");
    expect(error.place?.plugin).toBe('spoiler');
    await session.dispose();
  });
});
