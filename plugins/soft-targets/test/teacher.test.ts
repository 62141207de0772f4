import { definePlugin } from '@espalier/core';
import type { NamedTensors, Plugin, Session } from '@espalier/core';
import { exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import { TEACHER, teacher } from '@espalier/plugin-soft-targets';
import type { Teacher } from '@espalier/plugin-soft-targets';
import {
  firstDifference,
  liveTensors,
  onBackend,
  tinyMlp,
  tinyNoisyMlp,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { batchFor, disposeGradients, moved, onlooker, open } from './support.js';

beforeAll(() => onBackend('cpu'));

/** Set weights, and dropout and batch normalization, which would show if it ran as in training. */
function noisyTeacher(): LayersModel {
  const model = tinyNoisyMlp();
  const weights = model
    .getWeights()
    .map(({ shape }, i) => tf.randomUniform(shape, 0.1, 1, 'float32', i));
  model.setWeights(weights);
  tf.dispose(weights);
  return model;
}

/** Provides who teaches, as a preset would bind it. */
function bound(made: Teacher): Plugin {
  return definePlugin({
    id: 'bound',
    version: '0.0.0',
    options: z.strictObject({}),
    stateless: true,
    apply: (ctx) => ctx.provide(TEACHER, () => made),
  })();
}

const later = <T>(value: () => T) => Promise.resolve().then(value);
const zeros = ({ logits = 3 } = {}) => ({
  predict: (inputs: NamedTensors) =>
    tf.zeros([Object.values(inputs)[0]!.shape[0]!, logits]) as Tensor2D,
});

async function step(session: Session): Promise<void> {
  await session.step({ x: tf.ones([2, 6]), y: tf.tensor1d([0, 1], 'int32') });
}

/** Soft targets of one evaluation, perhaps after a step. */
async function targetsOf(plugins: readonly Plugin[], { steps = 0 } = {}) {
  let seen: Readonly<Record<string, number[][]>> = {};
  const look = onlooker((targets) => {
    seen = Object.fromEntries(Object.entries(targets).map(([k, v]) => [k, v.arraySync()]));
  });
  return withSession(open(tinyMlp, [...plugins, look]), async (session) => {
    if (steps > 0) await step(session);
    session.objective(await batchFor(session, tinyMlp)).dispose();
    return seen;
  });
}

describe('what it says', () => {
  test.each<[string, () => readonly Plugin[], number]>([
    ['a model', () => [teacher({ model: noisyTeacher })], 0],
    ['a model that is loaded', () => [teacher({ model: () => later(noisyTeacher) })], 0],
    ['one that is bound', () => [bound({ model: noisyTeacher }), teacher()], 0],
    ['bound and loaded', () => [bound({ model: () => later(noisyTeacher) }), teacher()], 1],
  ])('is the logits for inference of %s', async (_, plugins, steps) => {
    const seen = await targetsOf(plugins(), { steps });
    const model = noisyTeacher();
    const x = tf.randomNormal([3, 6], 0, 1, 'float32', 5);
    const expected = model.predict(x) as Tensor2D;
    const flat = expected.dataSync();
    expect(Object.keys(seen)).toEqual(['logits']);
    seen['logits']!.flat().forEach((value, i) => expect(value).toBeCloseTo(flat[i]!, 5));
    tf.dispose([x, expected]);
    model.dispose();
  });

  test.each<[string, (model: LayersModel) => readonly Plugin[]]>([
    ['given', (model) => [teacher({ model: () => model })]],
    ['given later', (model) => [teacher({ model: () => later(() => model) })]],
    ['bound', (model) => [bound({ model: () => model }), teacher()]],
  ])('leaves a model that existed before as it was: %s', async (_, plugins) => {
    const model = noisyTeacher();
    const before = model.getWeights().map((weight) => [...weight.dataSync()]);
    await targetsOf([...plugins(model), exitDistillation()], { steps: 1 });
    expect(model.getWeights().map((weight) => [...weight.dataSync()])).toEqual(before);
    model.dispose();
  });

  test('is asked of a function with the inputs as augmented, by their names', async () => {
    const doubled = definePlugin({
      id: 'doubled',
      version: '0.0.0',
      options: z.strictObject({}),
      effects: { batch: 'modify' },
      stateless: true,
      apply(ctx) {
        ctx.hooks.batch.tap((batch) => {
          const inputs = Object.entries(batch.inputs).map(([k, v]) => [k, tf.mul(v, 2)] as const);
          return { ...batch, inputs: Object.fromEntries(inputs) };
        });
      },
    });
    const asked: Record<string, number[]> = {};
    const predict = (inputs: NamedTensors) => {
      for (const [name, x] of Object.entries(inputs)) asked[name] = [...x.dataSync()];
      return zeros().predict(inputs);
    };
    const plugins = [doubled(), teacher({ predict }), exitDistillation()];
    await withSession(open(tinyMlp, plugins), step);
    expect(asked).toEqual({ hidden_input: Array(12).fill(2) });
  });

  test('goes to every exit, or to those that are named', async () => {
    const exits = multiExit({ at: ['hidden'] });
    const named = async (given?: 'auxiliary' | string[]) =>
      Object.keys(
        await targetsOf([exits, teacher({ ...zeros(), ...(given && { exits: given }) })]),
      );
    expect(await named()).toEqual(['exit_1', 'logits']);
    expect(await named('auxiliary')).toEqual(['exit_1']);
    expect(await named(['logits'])).toEqual(['logits']);
  });

  test('comes from the output that is named', async () => {
    const seen = await targetsOf([teacher({ model: twoHeads, output: 'second' })]);
    const flat = seen['logits']!.flat();
    expect(flat).toEqual(Array(9).fill(2));
  });
});

describe('in the run', () => {
  test('teaches a network without exits, and stays as it is', async () => {
    const before = liveTensors();
    let model!: LayersModel;
    const make = () => (model = noisyTeacher());
    const plugins = [teacher({ model: make }), exitDistillation({ alpha: 0.9, temperature: 4 })];
    await withSession(open(tinyMlp, plugins), async (session) => {
      const weights = () =>
        valuesOf(Object.fromEntries(model.weights.map((w) => [w.name, w.read()])));
      const untrained = weights();
      const { history } = await session.fit({ epochs: 6 });
      const losses = history.map(({ metrics }) => metrics['loss/exit-distillation/logits']!);
      expect(losses.at(-1)).toBeLessThan(0.6 * losses[0]!);
      expect(firstDifference(untrained, weights())).toBeUndefined();
      const own = ['hidden/bias', 'hidden/kernel', 'logits/bias', 'logits/kernel'];
      expect(Object.keys(session.parameters()).sort()).toEqual(own);
      const exported = session.export();
      expect(exported.countParams()).toBe(6 * 8 + 8 + 8 * 3 + 3);
      exported.dispose();
    });
    expect(liveTensors()).toBe(before);
  });

  test('moves the student alone', () => {
    const plugins = [teacher({ model: noisyTeacher }), exitDistillation()];
    return withSession(open(tinyMlp, plugins), async (session) => {
      const terms = ({ owner }: { owner: string }) => owner === 'exit-distillation';
      const gradients = session.gradients(await batchFor(session, tinyMlp), { terms });
      expect(moved(gradients)).toHaveLength(4);
      disposeGradients(gradients);
    });
  });

  test('a bound teacher is disposed with the run, whenever it was made', async () => {
    for (const model of [noisyTeacher, () => later(noisyTeacher)]) {
      const before = liveTensors();
      const plugins = [bound({ model }), teacher(), exitDistillation()];
      await withSession(open(tinyMlp, plugins), step);
      expect(liveTensors()).toBe(before + 2); // the batch is the caller's
    }
  });
});

describe('refuses', () => {
  const refusal = (made: Teacher, options: Parameters<typeof teacher>[0] = {}) =>
    expect(targetsOf([bound(made), teacher(options)])).rejects;
  const dense = (units: number, inputs: number, activation?: 'softmax' | 'sigmoid') => () =>
    tfl.sequential({
      layers: [
        tfl.layers.dense({ units, inputShape: [inputs], ...(activation && { activation }) }),
      ],
    });

  test('to run where nothing teaches', () =>
    expect(open(tinyMlp, [teacher()])).rejects.toThrow(/nothing in this run provides 'teacher'/));

  test('other classes', () =>
    refusal({ model: dense(4, 6) }).toThrow(
      /logits \[3, 3\].*'logits'.*\[3,4\].*teacher\/classes/s,
    ));

  test('other classes of a function', () =>
    refusal(zeros({ logits: 2 })).toThrow(/teacher\/classes/));

  test('a function that gives no tensor', async () => {
    const promise = () => Promise.resolve(tf.zeros([3, 3]));
    await refusal({ predict: promise as never }).toThrow(/at once.*teacher\/predict/s);
    await refusal({ predict: () => undefined as never }).toThrow(/teacher\/predict/);
  });

  test('other inputs', () =>
    refusal({ model: dense(3, 5) }).toThrow(/shape \[batch, 5\].*\[3, 6\].*teacher\/inputs/s));

  test('probabilities', () =>
    refusal({ model: dense(3, 6, 'sigmoid') }).toThrow(/probabilities.*teacher\/not-logits/s));

  test('probabilities of a model inside of the model', () => {
    const nested = () => tfl.sequential({ layers: [dense(4, 6)(), dense(3, 4, 'sigmoid')()] });
    return refusal({ model: nested }).toThrow(/probabilities.*teacher\/not-logits/s);
  });

  test('several outputs of which none is named', async () => {
    await refusal({ model: twoHeads }).toThrow(/'first', 'second'.*output: 'second'/);
    await refusal({ model: twoHeads }, { output: 'secnd' }).toThrow(/Did you mean 'second'\?/);
  });

  test('what is no model', async () => {
    await refusal({ model: () => ({}) as never }).toThrow(/teacher\/not-a-model/);
    await refusal({}).toThrow(/neither a function model nor predict.*teacher\/nothing/s);
    await refusal(undefined as never).toThrow(/teacher\/nothing/);
    await refusal(tinyMlp() as never).toThrow(/teacher\/nothing/);
  });

  test('outputs that are none', () =>
    refusal(zeros(), { exits: ['logit'] }).toThrow(/Did you mean 'logits'\?.*teacher\/exits/));

  test('a loss before a bound teacher is loaded', () =>
    refusal({ model: () => later(noisyTeacher) }).toThrow(/session.step.*teacher\/not-loaded/s));

  test('to go on where it cannot be loaded', async () => {
    const failing = () => Promise.reject<LayersModel>(new Error('no such file'));
    await expect(open(tinyMlp, [teacher({ model: failing })])).rejects.toThrow(/no such file/);
    const plugins = [bound({ model: failing }), teacher(), exitDistillation()];
    await expect(withSession(open(tinyMlp, plugins), step)).rejects.toThrow(/no such file/);
  });

  test('a model and a function at once', () =>
    expect(() => teacher({ model: tinyMlp, ...zeros() })).toThrow(/model or predict, not both/));
});

/** Two heads that say 1 and 2 of every class. */
function twoHeads(): LayersModel {
  const input = tfl.input({ shape: [6] });
  const head = (name: string, value: number) =>
    tfl.layers
      .dense({
        name,
        units: 3,
        kernelInitializer: 'zeros',
        biasInitializer: tfl.initializers.constant({ value }),
      })
      .apply(input) as tfl.SymbolicTensor;
  return tfl.model({ inputs: input, outputs: [head('first', 1), head('second', 2)] });
}
