import type { EvaluateContext, PluginContext } from '@espalier/core';
import { onBackend, tinyData, tinySource, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const EXAMPLES = 10;
const validation = tinySource({ examples: EXAMPLES, batchSize: 4 });

const evaluating = (tap: (context: EvaluateContext) => void, id = 'evaluating') =>
  plugin(id, { apply: (ctx) => ctx.hooks.evaluate.tap(tap) });

const evaluateWith = (...plugins: ReturnType<typeof plugin>[]) =>
  withSession(open({ plugins, validation }), (session) => session.evaluate());

describe('gather', () => {
  it('reads tensors of all batches, one after the other, for metrics at the end', async () => {
    let seen: Readonly<Record<string, Float32Array>> = {};
    const metrics = await evaluateWith(
      evaluating(({ batch, targets, gather }) =>
        gather('all', { x: batch.inputs['hidden_input']!, y: targets['logits']! }, (all) => {
          seen = all;
          return { rows: all['y']!.length, sum: all['y']!.reduce((a, b) => a + b, 0) };
        }),
      ),
    );
    expect(metrics).toMatchObject({ rows: EXAMPLES, sum: 9 });
    const sorted = (values: Iterable<number>) => [...values].sort();
    expect(sorted(seen['x']!)).toEqual(sorted(tinyData({ examples: EXAMPLES }).x.data));
  });

  it('keeps what plugins gather apart, by plugin and name', async () => {
    const counting = (id: string) =>
      evaluating(({ targets, gather }) => {
        const y = targets['logits']!;
        gather('once', { y }, (all) => ({ [`${id}/once`]: all['y']!.length }));
        gather('twice', { y: tf.concat([y, y]) }, (all) => ({ [`${id}/twice`]: all['y']!.length }));
      }, id);
    const metrics = await evaluateWith(counting('a'), counting('b'));
    expect(metrics).toMatchObject({ 'a/once': 10, 'a/twice': 20, 'b/once': 10, 'b/twice': 20 });
  });

  it.each<[string, (context: EvaluateContext) => void, string, RegExp]>([
    [
      'a fault of compute',
      ({ targets, gather }) =>
        gather('all', targets, () => {
          throw new Error('boom');
        }),
      'plugin/threw',
      /boom/,
    ],
    [
      'a metric that exists',
      ({ targets, gather }) => gather('all', targets, () => ({ loss: 1 })),
      'evaluate/metric',
      /already a metric 'loss'/,
    ],
    [
      'what is no tensor',
      ({ gather }) => gather('all', { y: [1] as never }, () => ({})),
      'evaluate/gather',
      /'y' is not a tensor/,
    ],
    [
      'one name twice',
      ({ targets, gather }) => {
        gather('all', targets, () => ({}));
        gather('all', targets, () => ({}));
      },
      'evaluate/gather',
      /twice for one batch/,
    ],
  ])('refuses %s', async (_, tap, code, message) => {
    const error = await refusal(() => evaluateWith(evaluating(tap)));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });
});

describe('ctx.evaluateAt', () => {
  const effects = { evaluation: 'replace', 'weights:*': 'modify' } as const;
  const path = 'logits/bias';

  /** Evaluates at a bias that makes every example one of class 2. */
  const biased = (made: tf.Tensor, look: (ctx: PluginContext) => void = () => undefined) =>
    plugin('biased', {
      effects,
      apply(ctx) {
        ctx.evaluateAt(() => ({ [path]: made }));
        ctx.hooks.epochEnd.tap(() => look(ctx));
      },
    });

  it('evaluates at other values, and leaves the model alone', async () => {
    const made = tf.tensor1d([0, 0, 1e6]);
    const values: number[][] = [];
    const plugins = [
      biased(made, (ctx) => {
        const read = (evaluated: boolean) => [...ctx.parameters({ evaluated })[path]!.dataSync()];
        values.push(read(true), read(false));
      }),
    ];
    await withSession(open({ plugins, validation }), async (session) => {
      expect((await session.evaluate())['accuracy']).toBeCloseTo(0.3);
      const { history } = await session.fit({ epochs: 1 });
      expect(history[0]!.metrics['val/accuracy']).toBeCloseTo(0.3);
      expect(values).toEqual([[0, 0, 1e6], [...session.parameters()[path]!.dataSync()]]);
      expect(Math.max(...values[1]!)).toBeLessThan(1);
      expect(session.inspect().evaluatedAt).toBe('biased');
      expect(session.explain()).toMatch(/evaluations use the values of biased$/);
    });
    made.dispose();
  });

  it('is one plugin’s: two are refused at setup', async () => {
    const other = plugin('other', { effects: { evaluation: 'replace' } });
    const error = await refusal(() => open({ plugins: [biased(tf.scalar(0)), other] }));
    expect(error.code).toBe('effects/conflict');
  });
});

describe('numbers that an epochEnd tap adds', () => {
  const adding = (id: string, name: string, value: number) =>
    plugin(id, { apply: (ctx) => ctx.hooks.epochEnd.tap(({ metric }) => metric(name, value)) });

  it('are seen by later taps, the history and telemetry', async () => {
    const seen: unknown[] = [];
    const last = plugin('z', {
      apply: (ctx) => ctx.hooks.epochEnd.tap(({ metrics }) => void seen.push(metrics['f1'])),
    });
    await withSession(open({ plugins: [adding('a', 'f1', 0.5), last] }), async (session) => {
      session.telemetry.on('epoch', ({ metrics }) => seen.push(metrics['f1']));
      const { history } = await session.fit({ epochs: 1 });
      expect([...seen, history[0]!.metrics['f1']]).toEqual([0.5, 0.5, 0.5]);
    });
  });

  it.each([
    ['loss', 1],
    ['f1', 'half' as never],
  ])('are refused: %s = %s', (name, value) =>
    withSession(open({ plugins: [adding('a', name, value)] }), async (session) => {
      const { code, place } = await refusal(() => session.fit({ epochs: 1 }));
      expect({ code, plugin: place?.plugin }).toEqual({ code: 'epoch/metric', plugin: 'a' });
    }),
  );
});

it('ctx.report goes to telemetry', () =>
  withSession(
    open({
      plugins: [
        plugin('says', { apply: (ctx) => ctx.hooks.epochEnd.tap(() => ctx.report('x', [1])) }),
      ],
    }),
    async (session) => {
      const heard: unknown[] = [];
      session.telemetry.on('report', (event) => heard.push(event));
      await session.fit({ epochs: 1 });
      expect(heard).toEqual([{ plugin: 'says', what: 'x', data: [1] }]);
    },
  ));
