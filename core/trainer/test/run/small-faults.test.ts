import { definePlugin, memoryStore } from '@espalier/core';
import type { NamedTensors, Plugin, PluginContext, SavedState, Session } from '@espalier/core';
import { onBackend, tinySource } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

describe('dispose', () => {
  it.each<[string, (session: Session, x: tf.Tensor) => Promise<unknown>]>([
    ['evaluate', (session) => session.evaluate()],
    ['predict', (session, x) => session.predict(x).then((outputs) => tf.dispose(outputs))],
    ['save', (session) => session.save()],
    ['batch', (session, x) => session.batch({ x, y: tf.zeros([300], 'int32') }, 'k')],
    ['runStages', (session) => session.runStages([{ epochs: 1 }])],
  ])('while %s is under way is refused, and that comes to its end', async (name, begin) => {
    const checkpoint = { store: memoryStore() };
    const session = await open({ validation: tinySource({ seed: 2 }), checkpoint });
    const x = tf.ones([300, 6]);
    const work = begin(session, x);
    const error = await refusal(() => session.dispose());
    expect(error.code).toBe('session/busy');
    expect(error.message).toContain(
      `session.dispose was called while session.${name} is under way`,
    );
    await work;
    x.dispose();
    await session.dispose();
  });
});

const keeping = (id: string, save: () => SavedState) =>
  plugin(id, {
    stateless: false,
    apply: (ctx) => ctx.keepState({ version: 1, save, load: () => undefined }),
  });

it('a tensor of one plugin that another one disposes in save is named', async () => {
  const mine = tf.scalar(1);
  const plugins = [
    keeping('a', () => ({ tensors: { mine } })),
    keeping('b', () => (mine.dispose(), {})),
  ];
  const store = memoryStore();
  const session = await open({ checkpoint: { store }, plugins });
  const error = await refusal(() => session.save());
  expect(error.code).toBe('checkpoint/disposed');
  expect(error.message).toContain("'states/a/mine' was disposed");
  expect(await store.list()).toEqual([]);
  await session.dispose();
});

describe('a gradients tap', () => {
  const tapping = (change: (gradients: Record<string, tf.Tensor>) => NamedTensors): Plugin =>
    plugin('p', { apply: ({ hooks }) => hooks.gradients.tap((given) => change({ ...given })) });
  const inPlace = (path: string): Plugin =>
    plugin('p', {
      apply: ({ hooks }) =>
        hooks.gradients.tap((given) => Object.assign(given, { [path]: tf.scalar(1) })),
    });

  it.each<[string, Plugin, string]>([
    [
      'returns an unknown path',
      tapping((given) => ({ ...given, 'hiden/kernel': tf.scalar(1) })),
      "Did you mean 'hidden/kernel'?",
    ],
    [
      'adds one in place',
      inPlace('hiden/kernel'),
      "it changed 'hiden/kernel' of its argument in place",
    ],
    [
      'changes one in place',
      inPlace('hidden/kernel'),
      "it changed 'hidden/kernel' of its argument",
    ],
  ])('that %s is refused by name', async (_, spoiler, text) => {
    const session = await open({ plugins: [spoiler] });
    const { numTensors } = tf.memory();
    const error = await refusal(() => session.fit({ epochs: 1 }));
    expect(error.code).toBe('hooks/bad-return');
    expect(error.place).toMatchObject({ plugin: 'p', hook: 'gradients' });
    expect(error.message).toContain(text);
    expect(tf.memory().numTensors).toBe(numTensors);
    await session.dispose();
  });
});

describe('a typing error is named', () => {
  it('in the name of a hook', async () => {
    const careless = (ctx: PluginContext) =>
      (ctx.hooks as unknown as Record<string, { tap(fn: () => void): void }>)['afterStpe']!.tap(
        () => undefined,
      );
    const error = await refusal(() => open({ plugins: [plugin('p', { apply: careless })] }));
    expect(error.code).toBe('hooks/unknown');
    expect(error.message).toContain("there is no hook 'afterStpe'. Did you mean 'afterStep'?");
  });

  it.each(['gradient', 'targets_', 'wieghts:hidden/kernel', 'Loss'])(
    'in the name of an effect: %s',
    async (resource) => {
      const careless = plugin('p', { effects: { [resource]: 'modify' } });
      const error = await refusal(() => open({ plugins: [careless] }));
      expect(error.code).toBe('effects/unknown');
      expect(error.message).toContain(`declares an effect on '${resource}'`);
    },
  );

  it('but a resource of one’s own may have any other name', async () => {
    const session = await open({ plugins: [plugin('p', { effects: { 'exits:first': 'own' } })] });
    await session.dispose();
  });

  it('in the hooks that a plugin watches', async () => {
    const careless = { ...plugin('p'), watches: ['epochEnds'] } as unknown as Plugin;
    const error = await refusal(() => open({ plugins: [careless] }));
    expect(error.code).toBe('options/invalid');
    expect(error.message).toContain('watches');
  });
});

it.each<[string, unknown, string]>([
  ['nothing', undefined, 'plugin/definition'],
  ['no apply', { id: 'p', version: '1', options: z.strictObject({}) }, 'plugin/definition'],
  ['no schema', { id: 'p', version: '1', apply: () => undefined }, 'plugin/options'],
  [
    'no schema but an object',
    { id: 'p', apply: () => undefined, options: { a: 1 } },
    'plugin/options',
  ],
])('definePlugin with %s is refused', async (_, definition, code) => {
  expect((await refusal(() => definePlugin(definition as never))).code).toBe(code);
});
