import { createSession, definePlugin, keyedRng, sgd } from '@espalier/core';
import type { Batch, SessionConfig } from '@espalier/core';
import { backendsUnderTest, CHECKS, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { carriedState } from '../../examples/language-model/carried-state.js';
import { CARRIED, lstmModel } from '../../examples/language-model/lstm-model.js';
import { perplexity } from '../../examples/language-model/perplexity.js';
import { sequenceCrossEntropy } from '../../examples/language-model/sequence-cross-entropy.js';
import { streamSource } from '../../examples/language-model/streams.js';

const WORDS = 7;
const UNITS = 4;
const STREAMS = 3;
const STEPS = 5;
const states = Object.fromEntries(Object.keys(CARRIED).map((name) => [name, UNITS]));

function text(length: number, seed = 0): Int32Array {
  const draw = keyedRng(seed, 'text');
  return Int32Array.from({ length }, () => Math.floor(WORDS * draw()));
}

const source = (ids: Int32Array, steps = STEPS) =>
  streamSource({ ids, streams: STREAMS, steps, states });
// Large weights, so that the state makes a difference.
const model = () => lstmModel({ vocabulary: WORDS, units: UNITS, scale: 1 });
const session = {
  loss: { logits: sequenceCrossEntropy() },
  train: source(text(STREAMS * (6 * STEPS + 1))),
  validation: source(text(STREAMS * (2 * STEPS + 1), 1)),
  accumulate: 1,
} satisfies Partial<SessionConfig>;

const subject = {
  name: 'LSTM',
  factory: carriedState,
  options: { carry: CARRIED },
  model,
  session,
};

describe.each(backendsUnderTest())('the conformance kit on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  // 'replay' drives models with one input only.
  const checks = Object.keys(CHECKS).filter((check) => check !== 'replay');
  test.each(checks)('%s', (check) => CHECKS[check]!(subject));
});

describe('carriedState', () => {
  beforeAll(() => onBackend('cpu'));

  const open = (more: Partial<SessionConfig> = {}) =>
    createSession({
      ...session,
      model,
      optimizer: sgd({ learningRate: 1e-9 }),
      plugins: [carriedState({ carry: CARRIED })],
      seed: 3,
      ...more,
    });

  /** Mean loss of an epoch at parameters that do not move. */
  const lossOf = async (more: Partial<SessionConfig> = {}) => {
    const run = await open(more);
    const { history } = await run.fit({ epochs: 1 });
    await run.dispose();
    return history[0]!.metrics['loss']!;
  };

  test('windows of a text cost what the text costs in one piece', async () => {
    const ids = text(STREAMS * (6 * STEPS + 1));
    const whole = await lossOf({ train: source(ids, 6 * STEPS), plugins: [] });
    expect(await lossOf()).toBeCloseTo(whole, 5);
    expect(Math.abs((await lossOf({ plugins: [] })) - whole)).toBeGreaterThan(1e-3);
  });

  test('evaluations before the step, inside of its own and behind its gradients leave no trace', async () => {
    const meddler = definePlugin({
      id: 'meddler',
      version: '1.0.0',
      options: z.strictObject({}),
      effects: { gradients: 'replace', loss: 'add' },
      apply(ctx) {
        let window: readonly Batch[] = [];
        const meddle = () =>
          tf.tidy(() => {
            const params = Object.entries(ctx.parameters()).map(([path, x]) => [path, tf.neg(x)]);
            window.forEach((batch) => ctx.objective(batch, { params: Object.fromEntries(params) }));
          });
        ctx.hooks.beforeStep.tap((step) => {
          window = step.microBatches;
          meddle();
        });
        ctx.hooks.loss.tap(({ nested }) => void (!nested && meddle()), {
          after: ['carried-state'],
        });
        ctx.hooks.gradients.tap((gradients) => {
          meddle();
          return gradients;
        });
      },
      stateless: true,
    });
    const meddled = await lossOf({ plugins: [carriedState({ carry: CARRIED }), meddler()] });
    expect(meddled).toBe(await lossOf());
  });

  test('each epoch starts anew', async () => {
    const run = await open();
    const { history } = await run.fit({ epochs: 2 });
    await run.dispose();
    expect(history[1]!.metrics['loss']).toBeCloseTo(history[0]!.metrics['loss']!, 5);
  });

  test('perplexity reads a text in windows as in one piece, and leaves no tensor', async () => {
    const run = await open();
    const ids = text(STREAMS * (6 * STEPS + 1));
    const before = tf.memory().numTensors;
    const inWindows = await perplexity(run.model, ids, { streams: STREAMS, steps: 4 });
    expect(tf.memory().numTensors).toBe(before);

    const exported = run.export();
    expect(await perplexity(exported, ids, { streams: STREAMS })).toBeCloseTo(inWindows, 4);
    exported.dispose();
    await run.dispose();
    const whole = await lossOf({ train: source(ids, 6 * STEPS), plugins: [] });
    expect(Math.log(inWindows)).toBeCloseTo(whole, 5);
  });

  test('refuses several micro-batches in a step, batches of another size, unknown outputs', async () => {
    const refusal = async (more: Partial<SessionConfig>) => {
      const run = await open(more);
      const error = await run.fit({ epochs: 1 }).catch((cause: unknown) => cause);
      await run.dispose();
      return error;
    };
    expect(await refusal({ accumulate: 2 })).toMatchObject({ code: 'carried-state/accumulate' });
    const plugins = [carriedState({ carry: { h_1: 'hidden' } })];
    expect(await refusal({ plugins })).toMatchObject({ code: 'carried-state/output' });

    const run = await open();
    const step = async (streams: number) => {
      const ids = text(streams * (STEPS + 1));
      const batches = streamSource({ ids, streams, steps: STEPS, states });
      for await (const raw of batches.iterate({ epoch: 0, skip: 0, stream: keyedRng(0) })) {
        await run.step(raw).finally(() => tf.dispose([raw.x, raw.y!]));
      }
    };
    await step(2);
    await expect(step(3)).rejects.toMatchObject({ code: 'carried-state/size' });
    await run.dispose();
  });
});
