import { arraySource, createSession, crossEntropy, definePlugin, sgd } from '@espalier/core';
import type { PluginContext, Session, SessionConfig, Source } from '@espalier/core';
import { tinyData, tinyMlp, tinySource, valuesOf } from '@espalier/testkit';
import type { Values } from '@espalier/testkit';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import * as z from 'zod';

/** One unit that says yes or no. */
export function oneUnit(): LayersModel {
  return tfl.sequential({
    layers: [tfl.layers.dense({ name: 'yes', units: 1, inputShape: [6] })],
  });
}

/** Targets 0 and 1 of one unit, `[batch, 1]`. */
export function binarySource(seed: number): Source {
  const { x, y } = tinyData({ classes: 2, seed });
  const targets = { data: Float32Array.from(y.data), shape: [y.data.length, 1] };
  return arraySource({ x, y: targets, batchSize: 4 });
}

/** A small session of one step an epoch; `more` changes its configuration. */
export function open(more: Partial<SessionConfig> = {}): Promise<Session> {
  return createSession({
    model: tinyMlp,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1 }),
    train: tinySource({ examples: 12, batchSize: 12 }),
    ...more,
  });
}

/** A plugin in a few words, which may set weights. */
export function plugin(id: string, apply: (ctx: PluginContext) => void) {
  return definePlugin({
    id,
    version: '1.0.0',
    options: z.strictObject({}),
    effects: { 'weights:*': 'modify' },
    stateless: true,
    apply: apply as () => void,
  })();
}

/** Gives each epoch its `score`; `seen` gets the weights at the end of each. */
export function scoring(scores: readonly number[], seen: Values[] = []) {
  return plugin('training-metrics', (ctx) =>
    ctx.hooks.epochEnd.tap(({ clock, metric }) => {
      metric('score', scores[clock.epoch]!);
      seen.push(valuesOf(ctx.parameters()));
    }),
  );
}
