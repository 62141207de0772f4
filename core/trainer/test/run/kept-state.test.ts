import { definePlugin, memoryStore } from '@espalier/core';
import type { PluginContext, SavedState } from '@espalier/core';
import { onBackend, tinySource } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const LIVE = { best: { loss: Infinity, worst: -Infinity }, last: [NaN, -0, 1] };

/** A plugin that keeps `state` and shows what it was given back. */
function keeper(save: () => unknown, loaded: (state: SavedState) => void = () => undefined) {
  return definePlugin({
    id: 'keeper',
    version: '1.0.0',
    options: z.strictObject({}),
    apply: (ctx: PluginContext) =>
      ctx.keepState({ version: 1, save: save as () => SavedState, load: loaded }),
  })();
}

describe('a plugin’s state', () => {
  it('comes back to the bit: NaN, infinities and −0 too', async () => {
    const store = memoryStore();
    const first = await open({ checkpoint: { store }, plugins: [keeper(() => ({ json: LIVE }))] });
    await first.save();
    await first.dispose();
    let got: unknown;
    const again = keeper(
      () => ({ json: LIVE }),
      ({ json }) => (got = json),
    );
    const second = await open({ checkpoint: { store }, plugins: [again] });
    await second.load();
    expect(got).toStrictEqual(LIVE);
    await second.dispose();
  });

  const disposed = () => {
    const tensor = tf.scalar(1);
    tensor.dispose();
    return tensor;
  };
  const cycle: unknown[] = [];
  cycle.push({ cycle });

  it.each<[string, () => unknown, RegExp]>([
    ['a Map', () => ({ json: { best: { loss: new Map() } } }), /'json\.best\.loss'.*class Map/],
    ['a Set', () => ({ json: [new Set()] }), /'json\.0'.*class Set/],
    ['a Date', () => ({ json: { at: new Date(0) } }), /'json\.at'.*class Date/],
    ['a function', () => ({ json: { f: () => 1 } }), /'json\.f'.*a function/],
    ['a bigint', () => ({ json: { n: 1n } }), /'json\.n'.*1n/],
    ['undefined in an array', () => ({ json: { a: [undefined] } }), /'json\.a\.0'.*undefined/],
    ['a typed array', () => ({ json: { a: new Float32Array(1) } }), /'json\.a'.*Float32Array/],
    ['a tensor in json', () => ({ json: { m: disposed() } }), /'json\.m'.*class Tensor/],
    ['a cycle', () => ({ json: cycle }), /'json\.0\.cycle'.*part of itself/],
    ['a field that is not kept', () => ({ josn: 1 }), /'josn', which is not kept.*'json'/],
    ['no tensor', () => ({ tensors: { m: 1 } }), /'tensors\.m', which is no live tensor/],
    ['a disposed tensor', () => ({ tensors: { m: disposed() } }), /'tensors\.m'.*disposed/],
    ['a promise', async () => ({ json: 1 }), /at once/],
  ])('with %s is refused, naming plugin, hook and place', async (_, save, message) => {
    const session = await open({ checkpoint: { store: memoryStore() }, plugins: [keeper(save)] });
    const error = await refusal(() => session.save());
    expect(error.place).toMatchObject({ plugin: 'keeper', hook: 'save' });
    expect(error.message).toMatch(message);
    await session.dispose();
  });
});

describe('numbers that are not finite', () => {
  it('stay in the history of a resumed run', async () => {
    const store = memoryStore();
    const unsure = plugin('unsure', {
      apply: ({ hooks }) =>
        hooks.evaluate.tap(({ batch, metric }) => {
          metric('nan', tf.fill([batch.size], NaN) as tf.Tensor1D);
          metric('infinite', tf.fill([batch.size], -Infinity) as tf.Tensor1D);
        }),
    });
    const config = {
      plugins: [unsure],
      checkpoint: { store },
      validation: tinySource({ seed: 1 }),
    };
    const first = await open(config);
    const { history } = await first.fit({ epochs: 1 });
    expect(history[0]!.metrics).toMatchObject({ 'val/nan': NaN, 'val/infinite': -Infinity });
    await first.dispose();
    const second = await open(config);
    await second.load();
    expect((await second.fit({ untilEpoch: 1 })).history).toStrictEqual(history);
    await second.dispose();
  });

  it('can be options: manifest, hash and the run’s checkpoint tell them apart', async () => {
    const limited = definePlugin({
      id: 'limited',
      version: '1.0.0',
      options: z.strictObject({ limit: z.union([z.number(), z.literal([Infinity, -Infinity])]) }),
      stateless: true,
      apply: () => undefined,
    });
    const store = memoryStore();
    const opened = (limit: number) =>
      open({ plugins: [limited({ limit })], checkpoint: { store } });
    const [up, down] = [await opened(Infinity), await opened(-Infinity)];
    const { manifest } = up.inspect();
    expect(manifest.plugins['limited']!.options).toEqual({ limit: Infinity });
    expect(manifest.inline).toEqual(['plugins.limited.use']);
    expect(down.inspect().manifest.hash).not.toBe(manifest.hash);
    await up.save();
    const error = await refusal(() => down.load());
    expect(error.message).toContain('options.limit was Infinity (code), is -Infinity (code)');
    expect(await up.load()).toBe(true);
    await up.dispose();
    await down.dispose();
  });
});

it('the detail of an edit is checked when it is handed over', async () => {
  const careless = plugin('careless', {
    apply: (ctx) => ctx.edit((graph) => graph, { errors: { kernel: new Map() } }),
  });
  const error = await refusal(() => open({ plugins: [careless] }));
  expect(error.message).toMatch(/plugin careless.*'detail\.errors\.kernel'.*class Map/);
});
