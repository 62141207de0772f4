import {
  appendLayers,
  createSession,
  crossEntropy,
  definePlugin,
  EspalierError,
  keepOutputs,
  sgd,
} from '@espalier/core';
import type { Effects, Order, Plugin, PluginContext, Session, SessionConfig } from '@espalier/core';
import { tinyMlp, tinySource } from '@espalier/testkit';
import * as tfl from '@tensorflow/tfjs-layers';
import { expect } from 'vitest';
import * as z from 'zod';

/** A small session; `more` changes its configuration. */
export function open(more: Partial<SessionConfig> = {}): Promise<Session> {
  return createSession({
    model: tinyMlp,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1 }),
    train: tinySource({ batchSize: 6 }),
    ...more,
  });
}

/** Effects that open every hook. */
export const EVERY_EFFECT: Effects = {
  batch: 'modify',
  targets: 'modify',
  loss: 'add',
  gradients: 'modify',
  structure: 'modify',
};

export interface Sketch {
  readonly order?: Order;
  readonly effects?: Effects;
  readonly stateless?: boolean;
  readonly apply?: (ctx: PluginContext) => void | Promise<void>;
}

/** A plugin in a few words; it may do everything unless told otherwise. */
export function plugin(id: string, sketch: Sketch = {}): Plugin {
  return definePlugin({
    stateless: true,
    effects: EVERY_EFFECT,
    apply: () => undefined,
    ...(sketch as object),
    id,
    version: '1.0.0',
    options: z.strictObject({}),
  } as never)();
}

/**
 * A plugin that gives the model an output of its own behind a layer, and in each transform another
 * in its place.
 */
export function changing(id = 'changing', after = 'hidden'): Plugin {
  return plugin(id, {
    apply(ctx) {
      let made = 0;
      const exchange = () =>
        ctx.edit((graph) =>
          appendLayers(keepOutputs(graph, ['logits']), {
            after,
            layers: [tfl.layers.dense({ name: `spare_${made++}`, units: 2 })],
            output: true,
          }),
        );
      exchange();
      ctx.hooks.transform.tap(exchange);
    },
  });
}

/** The error of failing work; fails the test when it succeeds or throws something else. */
export async function refusal(work: () => unknown): Promise<EspalierError> {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(EspalierError);
    return error as EspalierError;
  }
  throw new Error('it was not refused');
}
