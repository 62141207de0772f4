import { binaryCrossEntropy, crossEntropy, definePlugin, meanSquaredError } from '@espalier/core';
import type { EspalierError, Loss, RawBatch } from '@espalier/core';
import { cutmix, drawBeta, mixup } from '@espalier/plugin-augmentation';
import { onBackend, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { distance, slowCrossEntropy, slowMix } from './reference.js';
import { numberedImages, open, steps } from './support.js';
import type { Images, Streams } from './support.js';

const CLASSES = [0, 1, 2, 2, 1, 0];
const WEIGHTS = [1, 2, 0, 3, 0, 0.5];
const oneHot = (id: number) => [0, 1, 2].map((k) => Number(k === id));
/** Small numbers, so that a softmax of them is not saturated. */
const x = () => tf.tidy(() => tf.div(numberedImages(CLASSES.length), 500));
const ids = (): RawBatch => ({ x: x(), y: tf.tensor1d(CLASSES, 'int32') });
const weighted = (): RawBatch => ({ ...ids(), weights: tf.tensor1d(WEIGHTS) });

/** Outputs of the model that every session here begins with. */
const predicted = (images: Images): Promise<number[][]> =>
  withSession(open([]), async (session) => {
    const given = tf.tensor4d(images);
    const { logits } = await session.predict(given);
    const values = logits!.arraySync() as number[][];
    tf.dispose([given, logits!]);
    return values;
  });

/** Weighted sums of the rows. */
const totals = (rows: readonly number[][], weights: readonly number[]) =>
  [0, 1, 2].map((k) => rows.reduce((sum, row, i) => sum + weights[i]! * row[k]!, 0));

describe.each(['cpu', 'wasm'] as const)('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each([mixup({ alpha: 1 }), cutmix()])(
    '$id: masked examples stay apart, and each label keeps the weight of its example',
    async (mixer) => {
      const [seen] = await steps([mixer], [weighted]);
      const { x: mixed, y, weights } = seen! as { x: Images; y: number[][]; weights: number[] };
      const plain = tf.tidy(() => x().arraySync()) as Images;
      for (const masked of [2, 4]) {
        expect(mixed[masked]).toEqual(plain[masked]);
        expect(y[masked]).toEqual(oneHot(CLASSES[masked]!));
        expect(weights[masked]).toBe(0);
      }
      expect(distance(totals(y, weights), totals(CLASSES.map(oneHot), WEIGHTS))).toBeLessThan(1e-5);
      expect(weights.reduce((a, b) => a + b)).toBeCloseTo(6.5, 5);
      expect(distance(mixed, plain)).toBeGreaterThan(0.01);
    },
  );

  test('the loss of mixup is λ of the own label and 1 − λ of the partner’s, by weight', async () => {
    const streams: Streams = new Map();
    const [seen] = await steps([mixup({ alpha: 1, per: 'example' })], [weighted], {}, streams);
    const random = streams.get('mixup mix 0')!;
    const shares = CLASSES.map(() => drawBeta(1, random));
    const counted = [0, 1, 3, 5];
    const partners = [...random.permutation(4)].map((j) => counted[j]!);
    const logits = await predicted(seen!.x as Images);
    const sums = counted.map((i, k) => {
      const j = partners[k]!;
      const [own, other] = [shares[i]! * WEIGHTS[i]!, (1 - shares[i]!) * WEIGHTS[j]!];
      const [a, b] = [i, j].map((n) => slowCrossEntropy(logits[i]!, oneHot(CLASSES[n]!)));
      return { loss: own * a! + other * b!, weight: own + other };
    });
    const [loss, weight] = [
      sums.reduce((sum, each) => sum + each.loss, 0),
      sums.reduce((sum, each) => sum + each.weight, 0),
    ];
    expect(seen!.loss).toBeCloseTo(loss / weight, 4);
  });

  /** Targets after mixup of a loss, and what plain loops make of `rows`. */
  async function mixedTargets(rows: number[][], dtype: 'float32' | 'int32', loss: Loss) {
    const streams: Streams = new Map();
    const batch = (): RawBatch => ({ x: x(), y: tf.tensor2d(rows, undefined, dtype) });
    const plugin = mixup({ alpha: 1, linear: loss.name === 'hinge' ? ['logits'] : [] });
    const [seen] = await steps([plugin], [batch], { loss }, streams);
    const random = streams.get('mixup mix 0')!;
    const share = drawBeta(1, random);
    const partners = random.permutation(rows.length);
    return [seen!.y, rows.map((row, i) => slowMix(row, rows[partners[i]!], share))] as const;
  }

  const hinge: Loss = {
    ...meanSquaredError(),
    name: 'hinge',
    perExample: (output, target) => tf.mean(tf.relu(tf.sub(1, tf.mul(output, target))), 1),
  };
  const soft = CLASSES.map((id) => oneHot(id).map((q) => 0.7 * q + 0.1));
  test.each<[string, number[][], 'float32' | 'int32', Loss]>([
    ['distributions as they are', soft, 'float32', crossEntropy()],
    ['numbers of a regression', CLASSES.map((n) => [n, -n, n / 3]), 'float32', meanSquaredError()],
    ['independent labels', CLASSES.map((n) => [1, n % 2, 0]), 'int32', binaryCrossEntropy()],
    ['numbers of a loss of one’s own', CLASSES.map((n) => [n - 1, 1, -1]), 'float32', hinge],
  ])('mixes %s', async (_, rows, dtype, loss) => {
    const [mixed, slow] = await mixedTargets(rows, dtype, loss);
    expect(distance(mixed, slow)).toBeLessThan(1e-6);
    expect(distance(mixed, rows)).toBeGreaterThan(0.01);
  });
});

describe('in a run', () => {
  beforeAll(() => onBackend('wasm'));

  test('a batch of one example stays as it is', async () => {
    const one = (): RawBatch => ({ x: numberedImages(1), y: tf.tensor1d([2], 'int32') });
    for (const mixer of [mixup(), cutmix()]) {
      const [seen] = await steps([mixer], [one]);
      const plain = tf.tidy(() => numberedImages(1).arraySync());
      expect(seen!.x).toEqual(plain);
      expect(seen!.y).toEqual([oneHot(2)]);
    }
  });

  test('the two mixers are refused together; beside another plugin on batches each trains', async () => {
    const error = await open([mixup(), cutmix()]).catch((reason: unknown) => reason);
    expect((error as EspalierError).code).toBe('effects/conflict');
    expect(String(error)).toMatch(
      /'mixup' declares 'mixing: own' and 'cutmix' declares 'mixing: own'/,
    );
    const other = definePlugin({
      id: 'other',
      version: '1.0.0',
      options: z.strictObject({}),
      effects: { batch: 'modify' },
      stateless: true,
      apply: (ctx) => ctx.hooks.batch.tap((batch) => batch),
    });
    for (const mixer of [mixup(), cutmix()]) {
      await withSession(open([mixer, other()]), (session) => session.fit({ epochs: 1 }));
    }
  });

  test('weights per step, which cannot be mixed, are refused by name', async () => {
    for (const mixer of [mixup(), cutmix()]) {
      await withSession(open([mixer], { loss: meanSquaredError() }), async (session) => {
        const rows = tf.tensor2d(CLASSES.map(oneHot));
        const step = session.step({ x: x(), y: rows, weights: tf.ones([6, 3]) });
        const error = (await step.catch((reason: unknown) => reason)) as EspalierError;
        expect(error.code).toBe('mixing/step-weights');
        expect(error.message).toContain(mixer.id);
      });
    }
  });

  test('class ids train as their distributions do', async () => {
    const rows = (): RawBatch => ({ x: x(), y: tf.tensor2d(CLASSES.map(oneHot)) });
    const losses = async (batch: () => RawBatch) =>
      (await steps([mixup()], [batch, batch, batch])).map(({ loss }) => loss);
    expect(await losses(rows)).toEqual(await losses(ids));
  });
});
