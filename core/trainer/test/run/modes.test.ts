import { arraySource, HOOKS, sgd } from '@espalier/core';
import type { Batch, HookName, HookRow, Mode, NamedTensors, Plugin, Session } from '@espalier/core';
import {
  firstDifference,
  onBackend,
  tinyData,
  tinyNoisyMlp,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

/** Hooks that an effect opens, with the kind of resource. */
const GUARDED = Object.entries<HookRow>(HOOKS).flatMap(([hook, { needs, kind }]) =>
  needs === undefined ? [] : [{ hook: hook as HookName, kind: needs, handsOn: isWaterfall(kind) }],
);

function isWaterfall(kind: string): boolean {
  return kind.endsWith('waterfall');
}

/** A plugin with one effect and a tap that hands on what it gets. */
function touching(id: string, hook: HookName, resource: string, mode: Mode, more = {}): Plugin {
  return plugin(id, {
    effects: { [resource]: mode },
    apply(ctx) {
      const same = (argument: unknown) => (isWaterfall(HOOKS[hook].kind) ? argument : undefined);
      ctx.hooks[hook].tap(same as never);
    },
    ...more,
  });
}

describe.each(GUARDED)("'replace' on $kind", ({ hook, kind, handsOn }) => {
  const orderOf = (plugins: readonly Plugin[]) =>
    withSession(open({ plugins }), async (session) => {
      const { taps } = session.inspect().hooks.find((row) => row.hook === hook)!;
      return { ids: taps.map((tap) => tap.plugin), text: session.explain(hook) };
    });

  test.each([kind, `${kind}:some`, `${kind}:so*`])("comes before 'modify' of %s", async (some) => {
    const plugins = [
      touching('a', hook, kind, 'modify'),
      touching('b', hook, `${kind}:other`, 'modify'),
      touching('z', hook, some, 'replace'),
    ];
    const { ids, text } = await orderOf(plugins);
    expect(ids.indexOf('z')).toBeLessThan(ids.indexOf('a'));
    expect(ids.indexOf('z') < ids.indexOf('b')).toBe(some === kind);
    expect(text).toContain(`after z: it replaces ${some}`);
  });

  test("comes before 'add' where a value is handed on", async () => {
    const plugins = [touching('a', hook, kind, 'add'), touching('z', hook, kind, 'replace')];
    expect((await orderOf(plugins)).ids).toEqual(handsOn ? ['z', 'a'] : ['a', 'z']);
  });

  test.each<[Mode, Mode]>([
    ['replace', 'replace'],
    ['replace', 'own'],
    ['own', 'replace'],
  ])('%s beside %s conflicts', async (first, second) => {
    const plugins = [touching('a', hook, kind, first), touching('b', hook, `${kind}:x`, second)];
    const error = await refusal(() => open({ plugins }));
    expect(error.code).toBe('effects/conflict');
    expect(error.message).toContain(`'a' declares '${kind}: ${first}'`);
    expect(error.message).toContain(`'b' declares '${kind}:x: ${second}'`);
    expect(error.message).toMatch(/\{ b: false \}.*'modify', with an order/);
  });

  test.each([
    [`${kind}:x`, `${kind}:x/y`, true],
    [`${kind}:x/*`, `${kind}:x/y`, true],
    [`${kind}:x`, `${kind}:xy`, false],
    [`${kind}:x/y`, `${kind}:x/z`, false],
  ])('%s and %s clash: %s', async (a, b, clash) => {
    const plugins = [touching('a', hook, a, 'own'), touching('b', hook, b, 'modify')];
    const opening = () => withSession(open({ plugins }), () => Promise.resolve());
    if (clash) expect((await refusal(opening)).code).toBe('effects/conflict');
    else await opening();
  });

  test('two of them on other things do not', () =>
    orderOf([
      touching('a', hook, `${kind}:x`, 'replace'),
      touching('b', hook, `${kind}:y`, 'replace'),
    ]));

  test('beside a wish for the other order is refused with the reason', async () => {
    const order = { before: ['z'] };
    const plugins = [
      touching('a', hook, kind, 'modify', { order }),
      touching('z', hook, kind, 'replace'),
    ];
    const error = await refusal(() => open({ plugins }));
    expect(error.code).toBe('order/cycle');
    expect(error.message).toContain(`'z' comes first since it replaces ${kind}`);
  });
});

test('what others make of replaced gradients is not lost, whatever the ids', async () => {
  const clip = plugin('clip', {
    effects: { gradients: 'modify' },
    apply: (ctx) => ctx.hooks.gradients.tap((g) => each(g, (x) => tf.mul(x, 0.5))),
  });
  const ones = plugin('ones', {
    effects: { gradients: 'replace' },
    apply: (ctx) => ctx.hooks.gradients.tap((g) => each(g, (x) => tf.onesLike(x))),
  });
  const optimizer = sgd({ learningRate: 1 });
  await withSession(open({ plugins: [clip, ones], optimizer }), async (session) => {
    const bias = () => [...session.parameters()['logits/bias']!.dataSync()];
    await session.step(rawBatch(0, 4));
    expect(bias()).toEqual([-0.5, -0.5, -0.5]);
  });
});

describe('ctx.windowGradients', () => {
  /** Batches of 3, 3 and 2 examples in windows of 2, of unequal weight. */
  const weighted = (weightOf: (i: number) => number) => {
    const { x, y } = tinyData({ examples: 8 });
    const data = Float32Array.from({ length: 8 }, (_, i) => weightOf(i));
    return arraySource({ x, y, weights: data, batchSize: 3 });
  };

  test.each([
    ['unequal weights', (i: number) => 0.5 + i],
    ['a window without weight', () => 0],
  ])('are those of the step: %s', async (_, weightOf) => {
    const pairs: NamedTensors[][] = [];
    const asking = plugin('asking', {
      apply(ctx) {
        ctx.hooks.gradients.tap((gradients) => {
          pairs.push([gradients, ctx.windowGradients()].map(copied));
          return gradients;
        });
      },
    });
    const train = weighted(weightOf);
    const config = { model: tinyNoisyMlp, accumulate: 2, train, plugins: [asking] };
    await withSession(open(config), (session) => session.fit({ epochs: 1 }));
    expect(pairs).toHaveLength(2);
    for (const [own, asked] of pairs) {
      expect(Object.keys(own!).length).toBeGreaterThan(0);
      expect(firstDifference(valuesOf(own!), valuesOf(asked!))).toBeUndefined();
      expect([...valuesOf(own!).values()].flatMap((values) => [...values])).not.toContain(NaN);
    }
    tf.dispose(pairs);
  });

  test('at other parameters are the weighted sum of those of the micro-batches', async () => {
    const found: NamedTensors[][] = [];
    const asking = plugin('asking', {
      effects: {},
      apply(ctx) {
        ctx.hooks.beforeStep.tap(({ microBatches: window }) => {
          const params = each(ctx.parameters({ trainable: true }), (x) => tf.mul(x, 0.5));
          const asked = ctx.windowGradients(params);
          const parts = window.map((batch) => ctx.gradients(batch, { params }).gradients);
          const total = window.reduce((sum, { weightSum }) => sum + weightSum, 0);
          const byHand = tf.tidy(() =>
            each(asked, (_, path) =>
              tf.addN(parts.map((p, i) => tf.mul(p[path]!, window[i]!.weightSum / total))),
            ),
          );
          tf.dispose([params, ...parts]);
          found.push([asked, byHand]);
        });
      },
    });
    const config = { accumulate: 2, train: weighted((i) => 1 + i), plugins: [asking] };
    await withSession(open(config), (session) => session.fit({ epochs: 1 }));
    for (const [asked, byHand] of found) {
      for (const [path, tensor] of Object.entries(byHand!)) {
        expect(tf.max(tf.abs(tf.sub(asked![path]!, tensor))).dataSync()[0]).toBeLessThan(1e-6);
      }
    }
    tf.dispose(found);
  });

  test('are refused where no step is under way', async () => {
    const asking = plugin('asking', {
      apply: (ctx) => ctx.hooks.epochEnd.tap(() => void ctx.windowGradients()),
    });
    await withSession(open({ plugins: [asking] }), async (session) => {
      const error = await refusal(() => session.fit({ epochs: 1 }));
      expect(error.code).toBe('plugin/no-window');
      expect(error.place).toMatchObject({ plugin: 'asking', hook: 'epochEnd' });
    });
  });
});

test('a loss tap knows the evaluations of the step from those that were asked for', async () => {
  const seen: boolean[] = [];
  const asking = plugin('asking', {
    effects: { loss: 'add', gradients: 'modify' },
    apply(ctx) {
      let window: readonly Batch[] = [];
      ctx.hooks.beforeStep.tap((step) => void (window = step.microBatches));
      ctx.hooks.loss.tap(({ nested }) => void seen.push(nested));
      ctx.hooks.gradients.tap((gradients) => {
        ctx.objective(window[0]!);
        ctx.windowGradients();
        return gradients;
      });
    },
  });
  await withSession(open({ plugins: [asking] }), (session: Session) =>
    session.step([rawBatch(0, 2), rawBatch(2, 4)]),
  );
  expect(seen).toEqual([false, false, true, true, true]);
});

function rawBatch(from: number, to: number) {
  const { x, y } = tinyData({ examples: 4 });
  return {
    x: tf.tensor2d(x.data.slice(6 * from, 6 * to), [to - from, 6]),
    y: tf.tensor1d(y.data.slice(from, to), 'int32'),
  };
}

function each(tensors: NamedTensors, fn: (x: tf.Tensor, path: string) => tf.Tensor): NamedTensors {
  return Object.fromEntries(Object.entries(tensors).map(([path, x]) => [path, fn(x, path)]));
}

function copied(tensors: NamedTensors): NamedTensors {
  return each(tensors, (x) => tf.keep(tf.clone(x)));
}
