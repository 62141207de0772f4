import { EspalierError } from '@espalier/core';
import { mixup } from '@espalier/plugin-augmentation';
import { labelSmoothing as smoothing } from '@espalier/plugin-label-smoothing';
import { byot } from '@espalier/preset-baselines';
import { metadistiller } from '@espalier/preset-metadistiller';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { attach } from '../src/index.js';
import { classifier, labels, read, waves } from './models.js';

beforeAll(() => onBackend('cpu'));

const batch = () => ({ x: waves([6, 4]), y: labels(6) });
const codeOf = (work: () => Promise<unknown>) =>
  work().then(
    () => undefined,
    (error: unknown) => (error instanceof EspalierError ? error.code : String(error)),
  );

describe('a model in a loop of its own', () => {
  test('optimizer.minimize(() => run.loss(batch)) trains it as model.fit does', async () => {
    const [theirs, ours] = [classifier(), classifier()];
    theirs.compile({ optimizer: tf.train.sgd(0.1), loss: 'categoricalCrossentropy' });
    const run = await attach({ model: ours, loss: 'categoricalCrossentropy' });
    const optimizer = tf.train.sgd(0.1);
    for (let i = 0; i < 3; i++) {
      await theirs.trainOnBatch(batch().x, batch().y);
      optimizer.minimize(() => run.loss(batch()));
    }
    expect(read(ours)).toEqual(read(theirs));
    await run.detach();
  });

  test('run.step(batch, { next }) fires every hook, meta-steps included', async () => {
    const model = classifier();
    const run = await attach(
      { model, loss: 'categoricalCrossentropy', optimizer: tf.train.sgd(0.1) },
      metadistiller({ at: ['second'], branch: 'linear', meta: { warmup: 0, interval: 1 } }),
    );
    const before = run.session.parameters();
    const generator = Object.keys(before).find((path) => path.startsWith('label-generator:'))!;
    const value = [...before[generator]!.dataSync()];
    await run.step(batch(), { next: batch() });
    expect([...run.session.parameters()[generator]!.dataSync()]).not.toEqual(value);
    await run.detach();
  });

  test('run.step(batch, { inEpoch }) counts in the epoch that has begun', async () => {
    const loop = { model: classifier(), loss: 'categoricalCrossentropy' };
    const run = await attach({ ...loop, optimizer: tf.train.sgd(0.1) });
    const { session } = run;
    await session.beginEpoch();
    const { total } = await run.step(batch(), { inEpoch: true });
    expect((await session.endEpoch()).metrics['loss']).toBeCloseTo(total, 6);
    expect(session.clock.epoch).toBe(1);
    await run.detach();
  });

  test('a plugin that needs more than the loss is refused when it is attached', async () => {
    const model = classifier();
    const loop = { model, loss: 'categoricalCrossentropy' };
    expect(await codeOf(() => attach(loop, mixup()))).toBe('session/unfired');
    const run = await attach(loop, smoothing());
    expect(run.explain()).toContain('optimizer: your own');
    expect(await codeOf(() => run.step(batch()))).toBe('attach/no-optimizer');
    await run.detach();
  });

  test('something else than a model, and one without a loss', async () => {
    expect(await codeOf(() => attach({} as never))).toBe('attach/own-loop');
    expect(await codeOf(() => attach({ model: classifier() } as never))).toBe('attach/own-loop');
  });
});

describe('variables without a model', () => {
  const make = () => ({ w: tf.variable(waves([4, 3])), b: tf.variable(tf.zeros([3])) });
  const apply = ({ w, b }: { w: tf.Tensor; b: tf.Tensor }, x: tf.Tensor) =>
    tf.add(tf.matMul(x, w), b);
  const loss = tf.losses.softmaxCrossEntropy;

  test('train by an optimizer of the caller’s as without attach', async () => {
    const [theirs, ours] = [make(), make()];
    const run = await attach({ params: ours, apply, loss, inputShape: [4] });
    const [one, two] = [tf.train.adam(0.1), tf.train.adam(0.1)];
    const { loss: computeLoss } = run;
    for (let i = 0; i < 3; i++) {
      const { x, y } = batch();
      one.minimize(() => loss(y, apply(theirs, x)) as tf.Scalar);
      two.minimize(() => computeLoss({ x, y }));
    }
    const difference = tf.max(tf.abs(tf.sub(theirs.w, ours.w))).dataSync()[0]!;
    expect(difference).toBeLessThan(1e-6);
    await run.detach();
    expect(ours.w.isDisposed).toBe(false);
  });

  test('labels are smoothed, and a preset that edits layers is refused', async () => {
    const params = make();
    const given = { params, apply, loss, inputShape: [4] };
    const plain = await attach(given);
    const smooth = await attach(given, smoothing());
    const [one, two] = [plain, smooth].map((run) => run.loss(batch()).dataSync()[0]!);
    expect(one).not.toBeCloseTo(two!, 4);
    expect(await codeOf(() => attach(given, byot({ at: ['apply'] })))).toMatch(/^model\//);
    await Promise.all([plain, smooth].map((run) => run.detach()));
  });
});
