import { createSession, crossEntropy, definePlugin, EspalierError, sgd } from '@espalier/core';
import type { Effects, Order, Plugin, PluginContext, Session, SessionConfig } from '@espalier/core';
import { tinyMlp, tinySource } from '@espalier/testkit';
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
