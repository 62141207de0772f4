import { loadLatest, saveCheckpoint } from '@espalier/checkpoint';
import {
  adam,
  arraySource,
  crossEntropy,
  datasetSource,
  iterableSource,
  memoryStore,
  sgd,
} from '@espalier/core';
import type { CheckpointStore, RawBatch, SessionConfig, StateContract } from '@espalier/core';
import {
  firstDifference,
  liveTensors,
  onBackend,
  tinyData,
  tinyMlp,
  tinyNoisyMlp,
  tinySource,
  trainedValues,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const data = tinyData({ examples: 12 });
const rows = (from: number, n = 4): RawBatch => ({
  x: tf.tensor(data.x.data.slice(6 * from, 6 * (from + n)), [n, 6]),
  y: tf.tensor(data.y.data.slice(from, from + n), [n], 'int32'),
});

describe('a configuration is refused, naming the field:', () => {
  test.each([
    [
      { optimiser: sgd({ learningRate: 1 }) },
      "unknown option 'optimiser'. Did you mean 'optimizer'?",
    ],
    [{ optimizer: {} }, "option 'optimizer'"],
    [{ optimizer: { applyGradients: () => undefined } }, 'fromTfOptimizer'],
    [{ optimizer: { model: adam(), head: adam() } }, "group 'head'"],
    [{ loss: undefined }, "option 'loss': must be a loss"],
    [{ loss: () => 1 }, "option 'loss'"],
    [{ seed: NaN }, "option 'seed': expected number, received NaN"],
    [{ accumulate: 0 }, "option 'accumulate'"],
    [{ train: [1] }, "option 'train': must be a source"],
    [{ checkpoint: memoryStore() }, "option 'checkpoint.store'"],
    [{ checkpoint: { store: memoryStore(), everyStep: 1 } }, "Did you mean 'everySteps'?"],
  ])('%#', async (more, text) => {
    const before = liveTensors();
    expect((await refusal(() => open(more as never))).message).toContain(text);
    expect(liveTensors()).toBe(before);
  });

  test('one loss for a model of several outputs', async () => {
    const model = () => {
      const input = tfl.input({ shape: [6] });
      const output = (name: string) => tfl.layers.dense({ name, units: 3 }).apply(input);
      return tfl.model({ inputs: input, outputs: [output('a'), output('b')] as never });
    };
    expect((await refusal(() => open({ model }))).message).toContain("'a', 'b'");
    await (await open({ model, loss: { b: crossEntropy() } })).dispose();
  });

  test('a preset may be a reference', async () => {
    const preset = {
      plugins: {
        quiet: { use: Object.assign(() => plugin('quiet'), { definition: { id: 'quiet' } }) },
      },
    };
    const load = () => Promise.resolve({ mine: preset });
    await withSession(open({ preset: './mine.js#mine', load }), async (session) => {
      expect(session.inspect().plugins.map(({ id }) => id)).toEqual(['quiet']);
    });
  });
});

describe('a session refuses', () => {
  test.each([undefined, {}, { epochs: NaN }, { epochs: -1 }, { epochs: '3' }, { epoch: 3 }])(
    'fit(%j)',
    async (options) => {
      await withSession(open(), async (session) => {
        const error = await refusal(() => session.fit(options as never));
        expect(error.message).toMatch(/session\.fit: .*(options?|must)/);
      });
    },
  );

  test('what changes the run while something else does', async () => {
    await withSession(open(), async (session) => {
      const fitting = session.fit({ epochs: 1 });
      for (const work of [
        () => session.fit({ epochs: 1 }),
        () => session.step(rows(0)),
        () => session.transform(),
        () => session.load({ store: memoryStore() }),
        () => session.dispose(),
      ]) {
        expect((await refusal(work)).code).toBe('session/busy');
      }
      expect((await fitting).status).toBe('completed');
    });
  });

  test('everything after dispose, which may be called again', async () => {
    const session = await open({ checkpoint: { store: memoryStore() } });
    await session.dispose();
    await session.dispose();
    for (const work of [
      () => session.fit({ epochs: 1 }),
      () => session.step(rows(0)),
      () => session.evaluate(tinySource()),
      () => session.parameters(),
      () => session.export(),
      () => session.save(),
      () => session.load(),
      () => session.inspect(),
    ]) {
      expect((await refusal(work)).code).toBe('session/disposed');
    }
  });

  test('no batch, no examples, no tensors', async () => {
    await withSession(open(), async (session) => {
      expect((await refusal(() => session.step([]))).code).toBe('session/step');
      expect((await refusal(() => session.step(undefined as never))).code).toBe('session/step');
      const predicting = (x: unknown, options?: object) =>
        refusal(() => session.predict(x as never, options));
      expect((await predicting(undefined)).code).toBe('batch/inputs');
      expect((await predicting({ hidden_input: [1] })).code).toBe('batch/tensors');
      const [none, some] = [tf.zeros([0, 6]), tf.zeros([2, 6])];
      expect((await predicting(none)).code).toBe('batch/size');
      expect((await predicting(some, { batchSize: 0 })).message).toContain("option 'batchSize'");
      tf.dispose([none, some]);
    });
  });

  test('a model that cannot be trained', async () => {
    const frozen = () => {
      const model = tinyMlp();
      for (const layer of model.layers) layer.trainable = false;
      return model;
    };
    await withSession(open({ model: frozen }), async (session) => {
      expect((await refusal(() => session.fit({ epochs: 1 }))).code).toBe('model/frozen');
    });
  });
});

describe('a source', () => {
  const fails = async (source: () => SessionConfig['train'], accumulate = 3) =>
    withSession(open({ train: source(), accumulate }), async (session) => {
      const before = liveTensors();
      const error = await refusal(() => session.fit({ epochs: 1 }));
      expect(liveTensors()).toBe(before);
      return error;
    });
  const from = (next: () => Iterable<unknown> | AsyncIterable<unknown>) => () =>
    iterableSource(next as never, { fingerprint: 'mine' });

  test('that fails in the middle of a window is named with the place', async () => {
    const error = await fails(
      from(async function* () {
        yield rows(0);
        yield rows(4);
        throw new Error('disk gone');
      }),
    );
    expect(error.code).toBe('source/failed');
    expect(error.message).toContain('mine: batch 2 of epoch 0: disk gone');
  });

  test.each([[undefined], [{ xs: 1 }], [{ x: [[1]] }]])('that gives %j', async (batch) => {
    expect((await fails(from(() => [batch]))).code).toBe('source/batch');
  });

  test('that gives a tensor which is disposed already', async () => {
    const error = await fails(
      from(function* () {
        const batch = rows(0);
        yield batch;
        yield batch;
      }),
      1,
    );
    expect(error.message).toMatch(/live tensor.*disposed float32 tensor/);
  });

  test.each([[[1, NaN, 1, 1]], [[1, -1, 1, 1]], [[Infinity, 1, 1, 1]]])(
    'with weights %j',
    async (weights) => {
      const batches = from(() => [{ ...rows(0), weights: tf.tensor1d(weights) }]);
      expect((await fails(batches)).code).toBe('batch/weights');
    },
  );

  test('with weights of another shape', async () => {
    const error = await fails(from(() => [{ ...rows(0), weights: tf.ones([4, 1]) }]));
    expect(error.code).toBe('batch/weights');
  });

  test('whose elements are not { xs, ys }', async () => {
    const dataset = () => ({
      iterator: async () => ({ next: async () => ({ value: tf.zeros([4, 6]), done: false }) }),
    });
    const error = await fails(() => datasetSource(dataset, { fingerprint: 'd' }));
    expect(error.message).toContain('{ xs, ys }');
  });

  test('that never ends is ended by the signal', async () => {
    let closed = false;
    const endless = from(function* () {
      try {
        for (;;) yield rows(0);
      } finally {
        closed = true;
      }
    });
    await withSession(open({ train: endless() }), async (session) => {
      const stop = new AbortController();
      session.telemetry.on('step', () => stop.abort());
      const { status } = await session.fit({ epochs: 1, signal: stop.signal });
      expect({ status, closed }).toEqual({ status: 'aborted', closed: true });
    });
  });
});

test('where all weights are 0 the micro-batches count alike, and nothing is divided by 0', async () => {
  const weights = new Float32Array(8);
  const shrink = plugin('shrink', {
    apply: (ctx) =>
      ctx.hooks.loss.tap(({ terms, outputs }) =>
        terms.add('size', tf.mean(tf.square(outputs['logits']!)) as tf.Scalar),
      ),
  });
  const train = (batchSize: number) =>
    arraySource({ ...tinyData({ examples: 8 }), weights, batchSize, shuffle: false });
  const run = (batchSize: number, accumulate: number) =>
    withSession(open({ train: train(batchSize), accumulate, plugins: [shrink] }), (s) =>
      trainedValues(s, 1),
    );
  const [parts, whole] = [await run(4, 2), await run(8, 1)];
  for (const [path, values] of whole) {
    parts.get(path)!.forEach((value, i) => expect(value).toBeCloseTo(values[i]!, 5));
  }
});

test('two sessions in turn do what each does alone', async () => {
  const config = (seed: number) => ({
    seed,
    model: tinyNoisyMlp,
    optimizer: adam({ learningRate: 0.05 }),
    train: tinySource(),
  });
  const alone = [];
  for (const seed of [1, 2])
    alone.push(await withSession(open(config(seed)), (s) => trainedValues(s, 2)));
  const both = [await open(config(1)), await open(config(2))];
  await Promise.all(both.map((session) => session.fit({ epochs: 2 })));
  for (const [i, session] of both.entries()) {
    expect(firstDifference(alone[i]!, valuesOf(session.parameters()))).toBeUndefined();
    await session.dispose();
  }
});

describe('checkpoints', () => {
  const keeping = (contract: Partial<StateContract>) =>
    plugin('keeper', {
      stateless: false,
      apply: (ctx) =>
        ctx.keepState({ version: 1, save: () => ({}), load: () => undefined, ...contract }),
    });
  const written = async (more: Partial<SessionConfig> = {}) => {
    const store = memoryStore();
    await withSession(open({ ...more, checkpoint: { store } }), (s) => s.fit({ epochs: 1 }));
    return store;
  };
  const loading = (store: CheckpointStore, more: Partial<SessionConfig>) =>
    withSession(open({ ...more, checkpoint: { store } }), async (session) => {
      const before = valuesOf(session.parameters());
      const error = await refusal(() => session.load());
      expect(firstDifference(before, valuesOf(session.parameters()))).toBeUndefined();
      expect(session.clock.step).toBe(0);
      return error;
    });

  test.each([
    ['another optimizer', { optimizer: adam() }],
    ['another accumulation', { accumulate: 2 }],
    ['another batch size', { train: tinySource({ batchSize: 3 }) }],
  ])('of a run with %s are refused', async (_name, more) => {
    const error = await loading(await written(), more);
    expect(error.message).toContain("allowMismatch: ['training'");
  });

  test('of a model that has no name for its topology are refused where a weight is missing', async () => {
    class Plain extends tfl.layers.Layer {
      static className = 'PlainLayer';
      override call(inputs: tf.Tensor | tf.Tensor[]) {
        return Array.isArray(inputs) ? inputs[0]! : inputs;
      }
    }
    const model = (name: string) => () =>
      tfl.sequential({
        layers: [
          tfl.layers.dense({ name, units: 8, inputShape: [6] }),
          new Plain({ name: 'plain' }),
          tfl.layers.dense({ name: 'logits', units: 3 }),
        ],
      });
    const store = await written({ model: model('first') });
    const error = await loading(store, { model: model('other') });
    expect(error.message).toContain("'other/kernel'");
  });

  test.each([
    ['clock.microSteps', { clock: { epoch: 1, step: 4, micro: 4, batch: 0 } }],
    ['stages', { stages: undefined }],
  ])('of a release that wrote no %s are refused', async (field, change) => {
    const [store, other] = [await written(), memoryStore()];
    const { manifest, tensors } = (await loadLatest(store))!;
    const changed = JSON.parse(JSON.stringify({ ...(manifest as object), ...change })) as object;
    await saveCheckpoint(other, { manifest: changed, tensors }, { step: 4 });
    const error = await loading(other, {});
    expect(error.code).toBe('checkpoint/other-release');
    expect(error.message).toContain(`it has no '${field}'`);
  });

  test('change nothing when a plugin cannot load its state', async () => {
    const store = await written({ plugins: [keeping({})] });
    const broken = keeping({
      load: () => {
        throw new Error('cannot');
      },
    });
    expect((await loading(store, { plugins: [broken] })).message).toMatch(
      /^\[plugin keeper\] load/,
    );
  });

  test('name the plugin whose save fails, or gives a Promise', async () => {
    const saving = (save: () => unknown) =>
      withSession(open({ plugins: [keeping({ save: save as never })] }), (session) =>
        refusal(() => session.save(memoryStore())),
      );
    const failing = await saving(() => {
      throw new Error('cannot');
    });
    expect(failing.message).toMatch(/^\[plugin keeper\] save: cannot/);
    expect((await saving(async () => ({}))).code).toBe('plugin/state');
  });

  test('elsewhere do not make an occupied store this run’s', async () => {
    const store = await written();
    await withSession(open({ seed: 5, checkpoint: { store } }), async (session) => {
      await session.save({ ...memoryStore(), location: 'elsewhere' });
      expect((await refusal(() => session.fit({ epochs: 1 }))).code).toBe('checkpoint/occupied');
    });
  });

  test('are written when a plugin stops the fit', async () => {
    const store = memoryStore();
    const stopping = plugin('stopping', {
      apply: (ctx) => ctx.hooks.afterStep.tap(() => ctx.stop('enough')),
    });
    await withSession(open({ plugins: [stopping], checkpoint: { store } }), async (session) => {
      await session.fit({ epochs: 1 });
      expect(await store.list()).toEqual(['step-000000001.safetensors']);
    });
  });

  test('hold one moment, also when training goes on meanwhile', async () => {
    const config = { model: tinyNoisyMlp, optimizer: adam(), train: tinySource({ batchSize: 2 }) };
    const whole = await withSession(open(config), (s) => trainedValues(s, 2));
    const store = memoryStore();
    await withSession(open(config), async (session) => {
      const saving: Promise<string>[] = [];
      session.telemetry.on('epochStart', () => void saving.push(session.save(store)));
      await session.fit({ epochs: 2 });
      expect(await Promise.all(saving)).toHaveLength(2);
    });
    const resumed = await withSession(open(config), async (session) => {
      expect(await session.load({ store })).toBe(true);
      return trainedValues(session, 2);
    });
    expect(firstDifference(whole, resumed)).toBeUndefined();
  });
});
