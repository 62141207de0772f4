import { useBackend } from '@espalier/backend';
import { createSession, crossEntropy, sgd } from '@espalier/core';
import type { Plugin, Session, SessionConfig, Source } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { ZodType } from 'zod';
import { backendsUnderTest } from './backends.js';
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
  readonly factory: AnyFactory;
}

/** What `definePlugin` returns, whatever the options and effects: cases hold options as data. */
export interface AnyFactory {
  (options?: never, instance?: { readonly id?: string }): Plugin;
  readonly definition: { readonly id: string; readonly options: ZodType };
}

/**
 * Makes the plugin under test.
 *
 * @throws EspalierError `options/invalid`.
 */
export function pluginOf(
  { factory, options }: Subject,
  instance?: { readonly id?: string },
): Plugin {
  return factory(options as never, instance);
}

/** Makes the plugin under test, wrapped if a check wants to watch it. */
export type Wrap = (plugin: Plugin) => Plugin;

/**
 * Opens a run of the subject: a tiny model, seeded data, SGD with momentum, in windows of 2. It runs
 * on the current backend; where there is none yet, on the first of {@link backendsUnderTest}.
 */
export async function openSession(
  subject: Subject,
  { wrap = (plugin) => plugin, more = {} }: { wrap?: Wrap; more?: Partial<SessionConfig> } = {},
): Promise<Session> {
  const { companions, model = tinyNoisyMlp, session } = subject;
  if (!tf.getBackend()) await useBackend({ prefer: backendsUnderTest() });
  return createSession({
    model,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.05, momentum: 0.9 }),
    train: trainSourceOf(subject),
    validation: seededSource(subject, 1),
    accumulate: 2,
    seed: 7,
    ...session,
    ...more,
    plugins: [wrap(pluginOf(subject)), ...(companions?.() ?? [])],
  });
}

/** What the run of a subject trains on. */
export function trainSourceOf(subject: Subject): Source {
  return subject.session?.train ?? seededSource(subject, 0);
}

function seededSource({ model = tinyNoisyMlp }: Subject, seed: number): Source {
  const probe = model();
  const shape = inputShapeOf(probe);
  const classes = probe.outputs.at(-1)!.shape.at(-1)!;
  probe.dispose();
  return tinySource({ shape, classes, seed });
}
