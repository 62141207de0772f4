import { arraySource, createSession, crossEntropy, definePlugin, sgd } from '@espalier/core';
import type {
  Batch,
  Plugin,
  PluginContext,
  RawBatch,
  Session,
  SessionConfig,
  Source,
  KeyedRng,
} from '@espalier/core';
import { tinyData, tinySource, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import * as z from 'zod';

/** `[image][row][column][channel]`. */
export type Images = number[][][][];

/** Images that are not square, with two channels, and three classes. */
export const SHAPE = [5, 7, 2] as const;

export function flatModel(): LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.flatten({ name: 'flat', inputShape: [...SHAPE] }),
      tfl.layers.dense({ name: 'logits', units: 3 }),
    ],
  });
}

/** Every number of every image is another one. */
export function numberedImages(batch: number): tf.Tensor4D {
  const [height, width, channels] = SHAPE;
  return tf.tidy(() =>
    tf.reshape(tf.range(1, 1 + batch * height * width * channels), [
      batch,
      height,
      width,
      channels,
    ]),
  );
}

/** Data as of `tinySource`, with the numbers 0 and 1 as targets: one for each class. */
export function numberTargets(seed: number, shape: readonly number[]): Source {
  const { x, y } = tinyData({ seed, shape });
  const data = Float32Array.from({ length: 3 * y.data.length }, (_, i) =>
    Number(y.data[Math.floor(i / 3)] === i % 3),
  );
  return arraySource({ x, y: { data, shape: [y.data.length, 3] }, batchSize: 4 });
}

export function open(
  plugins: readonly Plugin[],
  more: Partial<SessionConfig> = {},
): Promise<Session> {
  return createSession({
    model: flatModel,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1 }),
    train: tinySource({ shape: SHAPE }),
    seed: 3,
    plugins,
    ...more,
  });
}

/** A micro-batch as the plugins left it. */
export interface Seen {
  readonly x: unknown;
  readonly y: unknown;
  readonly weights?: number[];
  readonly loss: number;
}

/** Streams that begin as those a plugin drew from, by `<plugin> <purpose>`. */
export type Streams = Map<string, KeyedRng>;

/** The batches of a session's steps; a batch is a function, since the trainer takes no array twice. */
export function steps(
  plugins: readonly Plugin[],
  raw: readonly (() => RawBatch)[],
  more: Partial<SessionConfig> = {},
  streams: Streams = new Map(),
): Promise<readonly Seen[]> {
  const seen: Omit<Seen, 'loss'>[] = [];
  const spy = definePlugin({
    id: 'spy',
    version: '1.0.0',
    options: z.strictObject({}),
    stateless: true,
    apply: (ctx) =>
      ctx.hooks.beforeStep.tap(({ microBatches }) => void seen.push(...microBatches.map(onHost))),
  });
  const watched = plugins.map((plugin) => withStreams(plugin, streams));
  return withSession(open([...watched, spy()], more), async (session) => {
    const done: Seen[] = [];
    for (const make of raw) {
      const batch = make();
      const { total } = await session.step(batch);
      tf.dispose([batch.x, batch.y ?? [], batch.weights ?? []]);
      done.push({ ...seen.at(-1)!, loss: total });
    }
    return done;
  });
}

function onHost({ inputs, targets, weights }: Batch): Omit<Seen, 'loss'> {
  const [x, y] = [inputs, targets].map((tensors) => Object.values(tensors)[0]!.arraySync());
  return { x, y, ...(weights && { weights: weights.arraySync() as number[] }) };
}

function withStreams(plugin: Plugin, streams: Streams): Plugin {
  return {
    ...plugin,
    apply(context) {
      const random: PluginContext['random'] = (purpose) => {
        streams.set(`${plugin.id} ${purpose}`, context.random(purpose));
        return context.random(purpose);
      };
      return plugin.apply(Object.create(context, { random: { value: random } }) as PluginContext);
    },
  };
}
