import type { ModelEdit, Plugin, Session } from '@espalier/core';
import { liveTensors, onBackend, tinyData, tinySource, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const { layers } = tfl;

/** Its configuration does not say by how much it multiplies. */
class Times extends layers.Layer {
  static readonly className = 'RebuildTimes';
  readonly #factor: number;
  constructor({ factor = 1, ...rest }: { factor?: number; name?: string }) {
    super(rest);
    this.#factor = factor;
  }
  override call(inputs: tf.Tensor | tf.Tensor[]) {
    return tf.mul(Array.isArray(inputs) ? inputs[0]! : inputs, this.#factor);
  }
}
tf.serialization.registerClass(Times);

function forgetful(): LayersModel {
  return tfl.sequential({
    layers: [
      layers.dense({ name: 'hidden', units: 4, inputShape: [6] }),
      new Times({ name: 'times', factor: 3 }),
      layers.dense({ name: 'logits', units: 3 }),
    ],
  });
}

type Editing = { edit(change: ModelEdit): void };
const edit = (ctx: unknown, change: ModelEdit) => (ctx as Editing).edit(change);

const AT_SETUP = () => plugin('at-setup', { apply: (ctx) => edit(ctx, (graph) => graph) });
const IN_TRANSFORM = () =>
  plugin('in-transform', {
    apply: (ctx) => ctx.hooks.transform.tap(() => edit(ctx, (graph) => graph)),
  });
describe('a model that its configuration does not describe', () => {
  test.each<[string, () => readonly Plugin[]]>([
    ['a plugin that edits at setup', () => [AT_SETUP()]],
    ['a plugin that will edit in a transform', () => [IN_TRANSFORM()]],
  ])('%s: it is refused at setup, naming the layer', async (_, plugins) => {
    const live = liveTensors();
    const error = await refusal(() => open({ model: forgetful, plugins: plugins() }));
    expect(error.code).toBe('model/rebuild');
    expect(error.message).toMatch(/'times' \(RebuildTimes\)/);
    expect(liveTensors()).toBe(live);
  });

  test('a function that gives one which existed before: it is refused', async () => {
    const trained = forgetful();
    const error = await refusal(() => open({ model: () => trained }));
    expect(error.message).toMatch(/existed before, so the run needs a copy.*'times'.*in place/s);
    trained.dispose();
  });

  test('it trains in a plain run, whose export is refused and changes nothing', () =>
    withSession(open({ model: forgetful }), async (session) => {
      await session.fit({ epochs: 1 });
      const live = liveTensors();
      const error = await refusal(() => session.export());
      expect(error.code).toBe('model/rebuild');
      expect(liveTensors()).toBe(live);
      await session.fit({ epochs: 1 });
    }));
});

describe('layers whose configuration tfjs writes incompletely', () => {
  const SOURCE = tinySource({ shape: [6, 6] });
  const MODELS: Readonly<Record<string, () => LayersModel>> = {
    'conv1d, channels first': () =>
      tfl.sequential({
        layers: [
          layers.conv1d({
            filters: 4,
            kernelSize: 2,
            dataFormat: 'channelsFirst',
            inputShape: [6, 6],
          }),
          layers.flatten(),
          layers.dense({ name: 'logits', units: 3 }),
        ],
      }),
    'separableConv2d, two channels of each': () =>
      tfl.sequential({
        layers: [
          layers.reshape({ targetShape: [6, 3, 2], inputShape: [6, 6] }),
          layers.separableConv2d({ filters: 4, kernelSize: 2, depthMultiplier: 2 }),
          layers.flatten(),
          layers.dense({ name: 'logits', units: 3 }),
        ],
      }),
  };

  async function logitsOf(session: Session): Promise<number[]> {
    const { x } = tinyData({ shape: [6, 6], examples: 4 });
    const input = tf.tensor(x.data, [4, 6, 6]);
    const outputs = await session.predict(input);
    const values = [...outputs['logits']!.dataSync()];
    tf.dispose([input, outputs]);
    return values;
  }

  test.each(Object.keys(MODELS))('%s: export and edits keep what it computes', async (name) => {
    const model = MODELS[name]!;
    await withSession(
      open({ model, plugins: [IN_TRANSFORM()], train: SOURCE }),
      async (session) => {
        await session.fit({ epochs: 1 });
        const trained = await logitsOf(session);
        await session.transform();
        expect(await logitsOf(session)).toEqual(trained);
        const exported = session.export();
        await withSession(open({ model: exported, train: SOURCE }), async (other) =>
          expect(await logitsOf(other)).toEqual(trained),
        );
        exported.dispose();
      },
    );
  });
});
