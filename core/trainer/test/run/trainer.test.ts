import {
  adam,
  arraySource,
  createSession,
  definePlugin,
  HOOKS,
  iterableSource,
  meanSquaredError,
  memoryStore,
  sgd,
} from '@espalier/core';
import type { HookName, Plugin, Session, SessionConfig, TelemetryEvents } from '@espalier/core';
import {
  backendsUnderTest,
  firstDifference,
  onBackend,
  tinyCnn,
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
import * as z from 'zod';
import { changing, open as openSession } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const open = (more: Partial<SessionConfig> = {}): Promise<Session> =>
  openSession({ validation: tinySource({ seed: 1 }), ...more });

const spy = (seen: string[]) =>
  definePlugin({
    id: 'spy',
    version: '1.0.0',
    options: z.strictObject({}),
    effects: {
      batch: 'add',
      targets: 'modify',
      loss: 'add',
      gradients: 'modify',
      structure: 'add',
    },
    stateless: true,
    apply(ctx) {
      for (const hook of Object.keys(HOOKS) as HookName[]) {
        ctx.hooks[hook].tap(((argument: unknown) => {
          seen.push(hook);
          return HOOKS[hook].kind.endsWith('waterfall') ? argument : undefined;
        }) as never);
      }
    },
  });

describe('the loop', () => {
  test('fires hooks in the order of the table', async () => {
    const seen: string[] = [];
    const train = arraySource({ ...tinyData({ examples: 4 }), batchSize: 2 });
    await withSession(
      open({ plugins: [changing(), spy(seen)()], accumulate: 2, train }),
      async (session) => {
        await session.fit({ epochs: 1 });
        await session.transform();
      },
    );
    const micro = ['targets', 'loss'];
    const evaluations = seen.filter((hook) => hook === 'evaluate');
    expect(evaluations.length).toBeGreaterThan(0);
    expect(seen).toEqual([
      'epochStart',
      'batch',
      'batch',
      'beforeStep',
      ...micro,
      ...micro,
      'gradients',
      'beforeApply',
      'afterApply',
      'afterStep',
      ...evaluations,
      'epochEnd',
      'finish',
      'transform',
      'structureChange',
    ]);
  });

  test('only hooks marked nested fire in nested evaluations', async () => {
    const seen: string[] = [];
    await withSession(open({ plugins: [spy(seen)()] }), async (session) => {
      const { x, y } = tinyData({ examples: 3 });
      const raw = { x: tf.tensor(x.data, [3, 6]), y: tf.tensor(y.data, [3], 'int32') };
      session.objective(await session.batch(raw, 'nested'));
    });
    expect(seen).toEqual((Object.keys(HOOKS) as HookName[]).filter((hook) => HOOKS[hook].nested));
  });

  test('learns', async () => {
    await withSession(open({ optimizer: adam({ learningRate: 0.05 }) }), async (session) => {
      const before = await session.evaluate();
      const { history, status } = await session.fit({ epochs: 20 });
      expect(status).toBe('completed');
      expect(history).toHaveLength(20);
      expect(history[19]!.metrics['loss']).toBeLessThan(0.5 * history[0]!.metrics['loss']!);
      expect((await session.evaluate(tinySource()))['accuracy']).toBeGreaterThan(
        before['accuracy']!,
      );
    });
  });

  test('reports loss, terms, metrics and validation of each epoch', async () => {
    await withSession(open(), async (session) => {
      const events: TelemetryEvents['epoch'][] = [];
      session.telemetry.on('epoch', (event) => events.push(event));
      await session.fit({ epochs: 2 });
      expect(events.map(({ epoch }) => epoch)).toEqual([0, 1]);
      expect(Object.keys(events[0]!.metrics).sort()).toEqual([
        'loss',
        'loss/task/cross-entropy',
        'val/accuracy',
        'val/loss',
      ]);
    });
  });

  test('accumulation equals the one big batch, also when the last window is short', async () => {
    const data = tinyData({ examples: 10 });
    const optimizer = sgd({ learningRate: 0.1, momentum: 0.9 });
    const run = (batchSize: number, accumulate: number) => {
      const train = arraySource({ ...data, batchSize, shuffle: false });
      return withSession(open({ train, accumulate, optimizer }), (s) => trainedValues(s, 1));
    };
    // Windows of 8 examples (4 × 2), then a short one of 2; by hand: batches of 8 and 2.
    const [accumulated, whole] = [await run(2, 4), await run(8, 1)];
    for (const [path, values] of whole) {
      accumulated.get(path)!.forEach((v, i) => expect(v).toBeCloseTo(values[i]!, 5));
    }
  });

  test('micro-batches of unequal weight count by their weight', async () => {
    const { x, y } = tinyData({ examples: 6 });
    const weights = Float32Array.from([1, 0, 0, 3, 2, 1]);
    const run = (batchSize: number, accumulate: number) => {
      const train = arraySource({ x, y, weights, batchSize, shuffle: false });
      return withSession(open({ train, accumulate }), (s) => trainedValues(s, 1));
    };
    const [parts, whole] = [await run(2, 3), await run(6, 1)];
    for (const [path, values] of whole) {
      parts.get(path)!.forEach((v, i) => expect(v).toBeCloseTo(values[i]!, 5));
    }
  });

  test('an example of weight 0 has no influence', async () => {
    const { x, y } = tinyData({ examples: 6 });
    const weights = Float32Array.from([1, 1, 0, 1, 1, 1]);
    const other = { ...x, data: x.data.slice().fill(9, 12, 18) };
    const run = (inputs: typeof x) => {
      const train = arraySource({ x: inputs, y, weights, batchSize: 6, shuffle: false });
      return withSession(open({ train }), (s) => trainedValues(s, 2));
    };
    expect(firstDifference(await run(x), await run(other))).toBeUndefined();
  });

  test('session.step drives a loop of one’s own and leaves the caller’s tensors alone', async () => {
    await withSession(open(), async (session) => {
      const { x, y } = tinyData({ examples: 3 });
      const raw = { x: tf.tensor(x.data, [3, 6]), y: tf.tensor(y.data, [3], 'int32') };
      const first = await session.step(raw);
      for (let i = 0; i < 30; i++) await session.step(raw);
      const last = await session.step([raw, raw]);
      expect(last.total).toBeLessThan(first.total);
      expect(raw.x.isDisposed).toBe(false);
      expect(session.clock).toMatchObject({ step: 32, microSteps: 33 });
      tf.dispose([raw.x, raw.y]);
    });
  });

  test('predict handles any number of examples and evaluate weighs them', async () => {
    await withSession(open(), async (session) => {
      const { x } = tinyData({ examples: 7 });
      const inputs = tf.tensor(x.data, [7, 6]);
      const [inSlices, atOnce] = [
        await session.predict(inputs, { batchSize: 3 }),
        await session.predict(inputs),
      ];
      expect(inSlices['logits']!.shape).toEqual([7, 3]);
      expect(firstDifference(valuesOf(inSlices), valuesOf(atOnce))).toBeUndefined();
      tf.dispose([inputs, inSlices, atOnce]);
    });
  });

  test('regression with a loss per output', async () => {
    const model = () => {
      const input = tfl.input({ shape: [2] });
      const dense = (name: string) => tfl.layers.dense({ name, units: 1 }).apply(input);
      return tfl.model({ inputs: input, outputs: [dense('sum'), dense('difference')] as never });
    };
    const data = Float32Array.from({ length: 40 }, (_, i) => Math.sin(i));
    const column = (f: (a: number, b: number) => number) => ({
      data: Float32Array.from({ length: 20 }, (_, i) => f(data[2 * i]!, data[2 * i + 1]!)),
      shape: [20, 1],
    });
    const train = arraySource({
      x: { data, shape: [20, 2] },
      y: { sum: column((a, b) => a + b), difference: column((a, b) => a - b) },
      batchSize: 5,
    });
    const loss = { sum: meanSquaredError(), difference: meanSquaredError() };
    const optimizer = adam({ learningRate: 0.1 });
    const config = { model, loss, optimizer, train };
    await withSession(createSession(config), async (session) => {
      await session.fit({ epochs: 60 });
      const metrics = await session.evaluate(train);
      expect(metrics['sum/mae']).toBeLessThan(0.05);
      expect(metrics['difference/mae']).toBeLessThan(0.05);
    });
  });

  test('a listener that throws is reported and changes nothing', async () => {
    const run = (listen: boolean) =>
      withSession(open(), async (session) => {
        const warnings: string[] = [];
        if (listen) {
          session.telemetry.on('warning', ({ message }) => warnings.push(message));
          session.telemetry.on('epoch', () => {
            throw new Error('listener bug');
          });
        } else session.telemetry.removeAllListeners();
        return { values: await trainedValues(session, 2), warnings };
      });
    const [listened, silent] = [await run(true), await run(false)];
    expect(firstDifference(listened.values, silent.values)).toBeUndefined();
    expect(listened.warnings).toEqual(Array(2).fill("a listener of 'epoch' threw: listener bug"));
  });

  test('a plugin can stop the fit, and finish fires', async () => {
    const finished: string[] = [];
    const stopper = definePlugin({
      id: 'stopper',
      version: '1.0.0',
      options: z.strictObject({}),
      stateless: true,
      apply(ctx) {
        ctx.hooks.afterStep.tap(({ clock }) => {
          if (clock.step === 3) ctx.stop('enough');
        });
        ctx.hooks.finish.tap(({ clock }) => void finished.push(`at ${clock.step}`));
      },
    });
    await withSession(open({ plugins: [stopper()] }), async (session) => {
      expect(await session.fit({ epochs: 5 })).toMatchObject({
        status: 'stopped',
        reason: 'enough',
      });
      expect(finished).toEqual(['at 3']);
    });
  });
});

describe.each(backendsUnderTest())('exact resume on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each([
    ['dropout and batch norm', tinyNoisyMlp, [6]],
    ['convolutions', tinyCnn, [8, 8, 1]],
  ] as const)('n steps equal k, resume, n − k: %s', async (_name, model, shape) => {
    const config = {
      model,
      optimizer: adam({ learningRate: 0.01 }),
      train: tinySource({ shape }),
      validation: tinySource({ shape, seed: 1 }),
    };
    const whole = await withSession(open(config), (s) => trainedValues(s, 3));
    for (const stopAt of [1, 6, 7, 11]) {
      const checkpoint = { store: memoryStore(), everySteps: stopAt, everyEpochs: 1000 };
      await withSession(open({ ...config, checkpoint }), async (session) => {
        const stop = new AbortController();
        session.telemetry.on('checkpoint', () => stop.abort());
        await session.fit({ epochs: 3, signal: stop.signal });
      });
      const resumed = await withSession(open({ ...config, checkpoint }), async (session) => {
        expect(await session.load()).toBe(true);
        expect(session.clock.step).toBe(stopAt);
        return trainedValues(session, 3);
      });
      expect(firstDifference(whole, resumed), `stopped at step ${stopAt}`).toBeUndefined();
    }
  });
});

test('a source of one’s own resumes by passing over what was seen', async () => {
  const { x, y } = tinyData({ examples: 12 });
  const source = () =>
    iterableSource(
      function* ({ epoch }) {
        for (let i = 0; i < 3; i++) {
          const at = 4 * ((i + epoch) % 3);
          yield {
            x: tf.tensor(x.data.slice(6 * at, 6 * at + 24), [4, 6]),
            y: tf.tensor(y.data.slice(at, at + 4), [4], 'int32'),
          };
        }
      },
      { fingerprint: 'twelve' },
    );
  const whole = await withSession(open({ train: source() }), (s) => trainedValues(s, 2));
  const checkpoint = { store: memoryStore(), everySteps: 2 };
  await withSession(open({ train: source(), checkpoint }), async (session) => {
    const stop = new AbortController();
    session.telemetry.on('checkpoint', () => stop.abort());
    await session.fit({ epochs: 2, signal: stop.signal });
  });
  const resumed = await withSession(open({ train: source(), checkpoint }), async (session) => {
    await session.load();
    return trainedValues(session, 2);
  });
  expect(firstDifference(whole, resumed)).toBeUndefined();
});

test('initial weights and dropout do not depend on layers elsewhere', async () => {
  const wide = () => {
    const input = tfl.input({ shape: [6] });
    tfl.layers.dense({ units: 2 }).apply(input);
    const hidden = tfl.layers.dense({ name: 'hidden', units: 8 }).apply(input);
    return tfl.model({
      inputs: input,
      outputs: tfl.layers.dense({ name: 'logits', units: 3 }).apply(hidden) as never,
    });
  };
  const hidden = (model: SessionConfig['model']) =>
    withSession(open({ model }), async (session) =>
      valuesOf(session.parameters()).get('hidden/kernel'),
    );
  expect(await hidden(wide)).toEqual(await hidden(tinyMlp));
});

test('plugins listed in another order give the same run', async () => {
  const noted = (id: string, seen: string[]): Plugin =>
    definePlugin({
      id,
      version: '1.0.0',
      options: z.strictObject({}),
      stateless: true,
      apply: (ctx) => ctx.hooks.epochStart.tap(() => void seen.push(id)),
    })();
  const run = async (ids: string[]) => {
    const seen: string[] = [];
    const plugins = ids.map((id) => noted(id, seen));
    await withSession(open({ plugins }), (session) => session.fit({ epochs: 1 }));
    return seen;
  };
  expect(await run(['b', 'a', 'c'])).toEqual(await run(['c', 'b', 'a']));
});
