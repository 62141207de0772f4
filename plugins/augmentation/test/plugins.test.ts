import { crossEntropy, memoryStore } from '@espalier/core';
import type { Plugin, RawBatch } from '@espalier/core';
import {
  boxAround,
  cutmix,
  cutout,
  drawBeta,
  mixup,
  randomCrop,
  randomFlip,
} from '@espalier/plugin-augmentation';
import { onBackend, tinySource, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { distance, slowCrop, slowFlip, slowMix, slowPaste } from './reference.js';
import { numberedImages, open, SHAPE, steps } from './support.js';
import type { Images, Seen, Streams } from './support.js';

const BATCH = 6;
const CLASSES = [0, 1, 2, 2, 1, 0];
const [height, width] = SHAPE;

const raw = (): RawBatch => ({ x: numberedImages(BATCH), y: tf.tensor1d(CLASSES, 'int32') });
const images = (seen: Seen) => seen.x as Images;
const plain = (): Images => tf.tidy(() => numberedImages(BATCH).arraySync());
const perImage = <T>(draw: () => T): T[] => Array.from({ length: BATCH }, draw);
const oneHot = (id: number) => [0, 1, 2].map((k) => Number(k === id));

describe.each(['cpu', 'wasm'] as const)('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  /** The second of two steps, and the streams that its draws came from. */
  async function second(plugin: Plugin): Promise<{ seen: Seen; streams: Streams }> {
    const streams: Streams = new Map();
    const seen = await steps([plugin], [raw, raw], {}, streams);
    return { seen: seen[1]!, streams };
  }

  test('random-crop: its draws, in plain loops', async () => {
    const options = { padding: 2, mode: 'reflect' } as const;
    const { seen, streams } = await second(randomCrop(options));
    const draw = streams.get('random-crop offsets 1')!;
    const offsets = perImage(() => [Math.floor(draw() * 5), Math.floor(draw() * 5)] as const);
    expect(seen.x).toEqual(slowCrop(plain(), offsets, options));
    expect(seen.y).toEqual(CLASSES);
  });

  test('random-flip: its draws, in plain loops', async () => {
    const { seen, streams } = await second(randomFlip({ probability: 0.6, vertical: true }));
    const draw = streams.get('random-flip flips 1')!;
    const flips = perImage(() => ({ horizontal: draw() < 0.6, vertical: draw() < 0.6 }));
    expect(seen.x).toEqual(slowFlip(plain(), flips));
  });

  test('cutout: its draws, in plain loops', async () => {
    const { seen, streams } = await second(cutout({ size: 3, fill: -1 }));
    const draw = streams.get('cutout centres 1')!;
    const boxes = perImage(() => {
      const centre = [Math.floor(draw() * height), Math.floor(draw() * width)] as const;
      return boxAround(centre, [3, 3], [height, width]);
    });
    expect(seen.x).toEqual(slowPaste(plain(), boxes, () => [-1, -1]));
  });

  test.each(['batch', 'example'] as const)(
    'mixup per %s: its draws, in plain loops',
    async (per) => {
      const { seen, streams } = await second(mixup({ alpha: 0.7, per }));
      const random = streams.get('mixup mix 1')!;
      const drawn =
        per === 'batch' ? [drawBeta(0.7, random)] : perImage(() => drawBeta(0.7, random));
      const partners = random.permutation(BATCH);
      const mixed = (of: readonly unknown[]) =>
        of.map((own, i) => slowMix(own, of[partners[i]!], drawn[i % drawn.length]!));
      expect(new Set(drawn).size).toBe(per === 'batch' ? 1 : BATCH);
      expect(distance(seen.x, mixed(plain()))).toBeLessThan(1e-4);
      expect(distance(seen.y, mixed(CLASSES.map(oneHot)))).toBeLessThan(1e-6);
    },
  );

  test.each(['batch', 'example'] as const)(
    'cutmix per %s: its draws, in plain loops',
    async (per) => {
      const { seen, streams } = await second(cutmix({ per }));
      const random = streams.get('cutmix mix 1')!;
      const drawOne = () => {
        const side = Math.sqrt(1 - drawBeta(1, random));
        const centre = [Math.floor(random() * height), Math.floor(random() * width)] as const;
        return boxAround(
          centre,
          [Math.floor(height * side), Math.floor(width * side)],
          [height, width],
        );
      };
      const drawn = per === 'batch' ? [drawOne()] : perImage(drawOne);
      const boxes = CLASSES.map((_, i) => drawn[i % drawn.length]!);
      const partners = random.permutation(BATCH);
      const from = (i: number, row: number, column: number) =>
        plain()[partners[i]!]![row]![column]!;
      expect(seen.x).toEqual(slowPaste(plain(), boxes, from));
      const labels = CLASSES.map((id, i) => {
        const { top, bottom, left, right } = boxes[i]!;
        const kept = 1 - ((bottom - top) * (right - left)) / (height * width);
        return slowMix(oneHot(id), oneHot(CLASSES[partners[i]!]!), kept);
      });
      expect(distance(seen.y, labels)).toBeLessThan(1e-6);
    },
  );
});

describe('in a run', () => {
  beforeAll(() => onBackend('wasm'));

  const all = () => [mixup(), cutout({ size: 2 }), randomFlip(), randomCrop({ padding: 2 })];
  const many = new Array<() => RawBatch>(60).fill(raw);

  test('crops are at each place as often, flips as often as asked', async () => {
    const crops = await steps([randomCrop({ padding: 1 })], many);
    // The pixel of row 2, column 3 tells the offset.
    const numbers = crops.flatMap((seen) =>
      images(seen).map((image, i) => image[2]![3]![0]! - plain()[i]![2]![3]![0]!),
    );
    const counts = new Map<number, number>();
    numbers.forEach((number) => counts.set(number, (counts.get(number) ?? 0) + 1));
    expect(counts.size).toBe(9);
    const expected = numbers.length / 9;
    counts.forEach((count) =>
      expect(Math.abs(count - expected)).toBeLessThan(4 * Math.sqrt(expected)),
    );

    const flipped = await steps([randomFlip({ probability: 0.2 })], many);
    const flips = flipped.flatMap((seen) =>
      images(seen).map((image, i) => image[0]![0]![0] !== plain()[i]![0]![0]![0]),
    );
    const share = flips.filter(Boolean).length / flips.length;
    expect(Math.abs(share - 0.2)).toBeLessThan(4 * Math.sqrt(0.16 / flips.length));
  });

  test.each([mixup(), cutmix()])(
    'crops, flips, cutout, $id: in this order, however listed',
    async (mixer) => {
      const order = (plugins: readonly Plugin[]) =>
        withSession(open(plugins), async (session) => {
          const { taps } = session.inspect().hooks.find(({ hook }) => hook === 'batch')!;
          return taps.map(({ plugin }) => plugin);
        });
      const listed = [mixer, ...all().slice(1)];
      const wanted = ['random-crop', 'random-flip', 'cutout', mixer.id];
      expect(await order(listed)).toEqual(wanted);
      expect(await order(listed.reverse())).toEqual(wanted);
    },
  );

  test('a plugin more or less does not change the draws of the others', async () => {
    const firstDraws = async (plugins: readonly Plugin[]) => {
      const streams: Streams = new Map();
      await steps(plugins, [raw, raw], {}, streams);
      return new Map([...streams].map(([key, stream]) => [key, stream()]));
    };
    const whole = await firstDraws(all());
    expect(new Set(whole.values()).size).toBe(8);
    for (const { id: left } of all()) {
      const rest = await firstDraws(all().filter(({ id }) => id !== left));
      expect(rest).toEqual(new Map([...whole].filter(([key]) => !key.startsWith(left))));
    }
  });

  test('validation sees the data as they are', async () => {
    const validation = tinySource({ shape: SHAPE, seed: 1 });
    const evaluated = (plugins: readonly Plugin[]) =>
      withSession(open(plugins, { validation }), (session) => session.evaluate());
    expect(await evaluated(all())).toEqual(await evaluated([]));
  });

  test('all together resume bit for bit in the middle of an epoch', async () => {
    const values = (session: Awaited<ReturnType<typeof open>>) =>
      Object.values(session.parameters()).map((tensor) => [...tensor.dataSync()]);
    const whole = await withSession(open(all()), async (session) => {
      await session.fit({ untilEpoch: 2 });
      return values(session);
    });
    const checkpoint = { store: memoryStore(), everySteps: 4, everyEpochs: 1000 };
    await withSession(open(all(), { checkpoint }), (session) => {
      const stop = new AbortController();
      session.telemetry.on('checkpoint', () => stop.abort());
      return session.fit({ untilEpoch: 2, signal: stop.signal });
    });
    const resumed = await withSession(open(all(), { checkpoint }), async (session) => {
      expect(await session.load()).toBe(true);
      await session.fit({ untilEpoch: 2 });
      return values(session);
    });
    expect(resumed).toEqual(whole);
  });

  test('accuracy counts the label of the larger share', () => {
    const hits = tf.tidy(() => {
      const outputs = tf.tensor2d([[3, 0, 1], [0, 3, 1]]); // prettier-ignore
      const mixed = tf.tensor2d([[0.6, 0.4, 0], [0.6, 0.4, 0]]); // prettier-ignore
      return [...crossEntropy().metrics(outputs, mixed)['accuracy']!.dataSync()];
    });
    expect(hits).toEqual([1, 0]);
  });
});
