import { definePlugin, memoryStore } from '@espalier/core';
import type { Plugin, PluginContext, Session, Source } from '@espalier/core';
import {
  firstDifference,
  liveTensors,
  onBackend,
  tinyNoisyMlp,
  tinySource,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { changing, open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

/** A source that calls back when its `at`-th batch was asked for, in every iteration. */
function calling(source: Source, at: number, act: () => void): Source {
  return {
    ...source,
    fingerprint: () => source.fingerprint(),
    async *iterate(options) {
      let count = 0;
      for await (const batch of source.iterate(options)) {
        if (++count === at) act();
        yield batch;
      }
    },
  };
}

/** Sums what it sees of every evaluation: state that a validation done twice would spoil. */
const watching = (): Plugin =>
  definePlugin({
    id: 'watching',
    version: '1.0.0',
    options: z.strictObject({}),
    apply(ctx) {
      let sum = tf.keep(tf.scalar(0));
      let batches = 0;
      const replace = (next: Tensor) => {
        sum.dispose();
        sum = tf.keep(tf.clone(next)) as tf.Scalar;
      };
      ctx.hooks.evaluate.tap(({ outputs }) => {
        batches += 1;
        replace(tf.add(sum, tf.sum(outputs['logits']!)));
      });
      ctx.keepState({
        version: 1,
        save: () => ({ json: { batches }, tensors: { sum } }),
        load: ({ json, tensors }) => {
          ({ batches } = json as { batches: number });
          replace(tensors!['sum']!);
        },
      });
      ctx.onTeardown(() => sum.dispose());
    },
  })();

const validation = tinySource({ examples: 20, seed: 5, batchSize: 4 });

describe('a validation that its signal ends', () => {
  const more = () => ({ model: tinyNoisyMlp, plugins: [watching()], seed: 3 });
  const stateOf = async (session: Session) => {
    const store = memoryStore();
    await session.save(store);
    const [name] = await store.list();
    return store.read(name!);
  };

  test.each([1, 3, 5])('at batch %i is done again: the run is the undisturbed one', async (at) => {
    const due = await withSession(open({ ...more(), validation }), async (session) => {
      const { history } = await session.fit({ untilEpoch: 2 });
      return { history, values: valuesOf(session.parameters()), bytes: await stateOf(session) };
    });
    const controller = new AbortController();
    const checkpoint = { store: memoryStore() };
    const only = memoryStore();
    let evaluated = 0;
    const counted = plugin('counted', {
      apply: (ctx: PluginContext) => ctx.hooks.evaluate.tap(() => void (evaluated += 1)),
    });
    const ended = calling(validation, at, () => controller.abort());
    const cut = { ...more(), validation: ended, checkpoint };
    await withSession(open({ ...cut, plugins: [watching(), counted] }), async (session) => {
      const live = liveTensors();
      const { signal } = controller;
      expect(await session.fit({ untilEpoch: 2, signal })).toMatchObject({
        status: 'aborted',
        history: [],
      });
      expect(evaluated).toBe(at - 1);
      expect(session.clock).toMatchObject({ epoch: 0, step: 4, batchesInEpoch: 4 });
      expect(liveTensors()).toBe(live);
      const [name] = await checkpoint.store.list();
      await only.write(name!, await checkpoint.store.read(name!));
      // In the same session it goes on too.
      const { history } = await session.fit({ untilEpoch: 2 });
      expect(history).toEqual(due.history);
      expect(firstDifference(valuesOf(session.parameters()), due.values)).toBeUndefined();
    });
    await withSession(open({ ...more(), validation }), async (session) => {
      await session.load({ store: only, allowMismatch: ['plugin:counted'] });
      const { history } = await session.fit({ untilEpoch: 2 });
      expect(history).toEqual(due.history);
      expect(await stateOf(session)).toEqual(due.bytes);
    });
  });
});

describe('session.evaluate and predict end between two batches:', () => {
  test('evaluate, after which nobody has seen anything', async () => {
    const plugins = [watching()];
    await withSession(open({ plugins, train: undefined }), async (session) => {
      const controller = new AbortController();
      const store = memoryStore();
      const before = await session.save(store).then((name) => store.read(name));
      const source = calling(validation, 2, () => controller.abort(new Error('enough')));
      const live = liveTensors();
      const { signal } = controller;
      const error = await refusal(() => session.evaluate(source, { signal }));
      expect(error).toMatchObject({ code: 'session/aborted', cause: new Error('enough') });
      expect(liveTensors()).toBe(live);
      expect(await session.save(store).then((name) => store.read(name))).toEqual(before);
      expect((await refusal(() => session.evaluate(validation, { signal }))).code).toBe(
        'session/aborted',
      );
    });
  });

  test('predict', async () => {
    await withSession(open({ train: undefined }), async (session) => {
      const controller = new AbortController();
      const x = tf.ones([6, 6]);
      const live = liveTensors();
      const { signal } = controller;
      const ending = session.predict(x, { batchSize: 1, signal });
      controller.abort();
      expect((await refusal(() => ending)).code).toBe('session/aborted');
      expect(liveTensors()).toBe(live);
      x.dispose();
    });
  });

  test('a signal that is none is refused', async () => {
    await withSession(open({ validation }), async (session) => {
      const signal = 'SIGINT' as never;
      for (const use of [
        () => session.evaluate(validation, { signal }),
        () => session.predict([] as never, { signal }),
        () => session.transform({ signal }),
      ]) {
        expect((await refusal(use)).message).toContain("option 'signal'");
      }
    });
  });
});

describe('a transform that its signal ends', () => {
  const controllerOf = () => {
    const controller = new AbortController();
    const ending = (id: string, how: (ctx: PluginContext) => void) =>
      plugin(id, { apply: (ctx) => ctx.hooks.transform.tap(() => how(ctx)) });
    return { controller, ending };
  };

  test('before the model was changed leaves it as it was', async () => {
    const { controller, ending } = controllerOf();
    let through = false;
    const long = ending('a-long', (ctx) => {
      controller.abort();
      ctx.progress('half of it', 1, 2);
      through = true;
    });
    const plugins = [long, changing('b-changing')];
    await withSession(open({ plugins }), async (session) => {
      const { model } = session;
      const { signal } = controller;
      const error = await refusal(() => session.transform({ signal }));
      expect(error).toMatchObject({ code: 'session/aborted' });
      expect(through).toBe(false);
      expect(session.model).toBe(model);
      expect((await session.fit({ epochs: 1 })).status).toBe('completed');
    });
  });

  test('in the middle makes the session refuse everything; stages are done again, exactly', async () => {
    const stages = [{ epochs: 1 }, { transform: true as const }, { epochs: 1 }];
    const { controller, ending } = controllerOf();
    const idle = ending('b-idle', () => undefined);
    const plugins = (last: Plugin) => [changing('a-changing'), last];
    const due = await withSession(open({ plugins: plugins(idle) }), async (session) => {
      await session.runStages(stages);
      return valuesOf(session.parameters());
    });
    const checkpoint = { store: memoryStore() };
    const late = ending('b-idle', (ctx) => {
      controller.abort();
      ctx.progress('half of it', 1, 2);
    });
    const { signal } = controller;
    await withSession(open({ plugins: plugins(late), checkpoint }), async (session) => {
      expect((await session.runStages(stages, { signal })).status).toBe('aborted');
      for (const use of [
        () => session.fit({ epochs: 1 }),
        () => session.save(),
        () => session.transform(),
        () => session.export(),
      ]) {
        expect((await refusal(use)).code).toBe('session/cut-short');
      }
    });
    await withSession(open({ plugins: plugins(idle), checkpoint }), async (session) => {
      await session.load();
      await session.runStages(stages);
      expect(firstDifference(valuesOf(session.parameters()), due)).toBeUndefined();
    });
  });

  test('in the validation after it: the stage is done again', async () => {
    const stages = [{ epochs: 1 }, { transform: true as const }];
    const plugins = () => [changing()];
    const due = await withSession(open({ plugins: plugins(), validation }), (session) =>
      session.runStages(stages),
    );
    const controller = new AbortController();
    const checkpoint = { store: memoryStore() };
    let validations = 0;
    const ended = calling(validation, 2, () => {
      validations += 1;
      if (validations === 2) controller.abort();
    });
    const { signal } = controller;
    await withSession(open({ plugins: plugins(), validation: ended, checkpoint }), async (run) => {
      expect((await run.runStages(stages, { signal })).status).toBe('aborted');
    });
    await withSession(open({ plugins: plugins(), validation, checkpoint }), async (session) => {
      await session.load();
      expect(await session.runStages(stages)).toEqual(due);
    });
  });
});
