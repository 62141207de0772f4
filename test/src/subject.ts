import { createSession, crossEntropy, sgd } from '@espalier/core';
import type { Plugin, PluginFactory, Session, SessionConfig } from '@espalier/core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { inputShapeOf, tinyNoisyMlp, tinySource } from './fixtures.js';

/** A plugin under test and the run to test it in. */
export interface Case {
  readonly name: string;
  /** Options of the plugin; default `{}`. */
  readonly options?: unknown;
  /** Plugins that it needs beside it. */
  readonly companions?: () => readonly Plugin[];
  /** Default {@link tinyNoisyMlp}; its first input and its logits decide the data. */
  readonly model?: () => LayersModel;
  /** More of the run: loss, optimizer, sources, accumulation. */
  readonly session?: Partial<SessionConfig>;
}

/** What every check is given. */
export interface Subject extends Case {
  readonly factory: PluginFactory;
}

/** Makes the plugin under test, wrapped if a check wants to watch it. */
export type Wrap = (plugin: Plugin) => Plugin;

/** Opens a run of the subject: a tiny model, seeded data, SGD with momentum, in windows of 2. */
export function openSession(
  { factory, options, companions, model = tinyNoisyMlp, session }: Subject,
  { wrap = (plugin) => plugin, more = {} }: { wrap?: Wrap; more?: Partial<SessionConfig> } = {},
): Promise<Session> {
  const probe = model();
  const shape = inputShapeOf(probe);
  const classes = probe.outputs.at(-1)!.shape.at(-1)!;
  probe.dispose();
  return createSession({
    model,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.05, momentum: 0.9 }),
    train: tinySource({ shape, classes }),
    validation: tinySource({ shape, classes, seed: 1 }),
    accumulate: 2,
    seed: 7,
    ...session,
    ...more,
    plugins: [wrap(factory(options)), ...(companions?.() ?? [])],
  });
}
