import { useBackend } from '@espalier/backend';
import { createSession, crossEntropy, resolvePreset, sgd } from '@espalier/core';
import type { Plugin, Preset, Session, SessionConfig, Source } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { ZodType } from 'zod';
import { backendsUnderTest } from './backends.js';
import { inputShapeOf, tinyNoisyMlp, tinySource } from './fixtures.js';

/** Options of what is under test, and the run to test it in. */
export interface Case {
  readonly name: string;
  /** Options of the plugin or preset; default `{}`. */
  readonly options?: unknown;
  /** Plugins that it needs beside it, under ids that a preset does not use. */
  readonly companions?: () => readonly Plugin[];
  /** Default {@link tinyNoisyMlp}; its first input and its logits decide the data. */
  readonly model?: () => LayersModel;
  /** More of the run: loss, optimizer, sources, accumulation. */
  readonly session?: Partial<SessionConfig>;
}

/** A plugin to check. */
export interface PluginSubject extends Case {
  readonly factory: AnyFactory;
}

/** A preset to check. */
export interface PresetSubject extends Case {
  readonly preset: AnyPreset;
}

/** What checks are given. */
export type Subject = PluginSubject | PresetSubject;

/** What `definePlugin` returns, whatever the options and effects: cases hold options as data. */
export interface AnyFactory {
  (options?: never, instance?: { readonly id?: string }): Plugin;
  readonly definition: { readonly id: string; readonly options: ZodType };
}

/** A function that makes a preset, whatever its options. */
export type AnyPreset = (options?: never) => Preset;

/**
 * Makes the plugin under test.
 *
 * @throws EspalierError `options/invalid`.
 */
export function pluginOf(
  { factory, options }: PluginSubject,
  instance?: { readonly id?: string },
): Plugin {
  return factory(options as never, instance);
}

/** Wraps a plugin under test, where a check wants to watch it. */
export type Wrap = (plugin: Plugin) => Plugin;

/**
 * Opens a run of the subject: a tiny model, seeded data, SGD with momentum, in windows of 2. It runs
 * on the current backend; where there is none yet, on the first of {@link backendsUnderTest}.
 */
export async function openSession(
  subject: Subject,
  { wrap, more = {} }: { wrap?: Wrap; more?: Partial<SessionConfig> } = {},
): Promise<Session> {
  const { model = tinyNoisyMlp, session } = subject;
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
    ...(await composed(subject, wrap)),
  });
}

type Composed = Pick<SessionConfig, 'plugins' | 'preset' | 'overrides'>;

/** What is under test, its companions beside it. */
async function composed(subject: Subject, wrap?: Wrap): Promise<Composed> {
  const companions = subject.companions?.() ?? [];
  if ('factory' in subject) {
    const plugin = pluginOf(subject);
    return { plugins: [wrap ? wrap(plugin) : plugin, ...companions] };
  }
  const { preset, options, session } = subject;
  const made = preset(options as never);
  const watched = wrap ? await standIns(made, subject, wrap) : {};
  const beside = Object.fromEntries(companions.map((each) => [each.id, standIn(each)]));
  return { preset: made, overrides: { ...session?.overrides, ...watched, ...beside } };
}

/** Entries that put wrapped plugins in the place of a preset's own. */
async function standIns(preset: Preset, { session }: PresetSubject, wrap: Wrap) {
  const { plugins, bindings } = await resolvePreset(preset, session);
  // Another `use` inherits no bindings, and each token is bound once, by whichever entry.
  const bind = Object.fromEntries(bindings.map(({ token, make }) => [token, { use: make }]));
  const entries = plugins.map((plugin, i) => {
    return [plugin.id, { ...standIn(wrap(plugin)), ...(i === 0 && { bind }) }];
  });
  return Object.fromEntries(entries) as NonNullable<SessionConfig['overrides']>;
}

function standIn(plugin: Plugin) {
  return { use: Object.assign(() => plugin, { definition: { id: plugin.id } }) };
}

/** Makes the model of a subject. */
export function modelOf({ model = tinyNoisyMlp }: Subject): LayersModel {
  return model();
}

/** What the run of a subject trains on. */
export function trainSourceOf(subject: Subject): Source {
  return subject.session?.train ?? seededSource(subject, 0);
}

function seededSource(subject: Subject, seed: number): Source {
  const probe = modelOf(subject);
  const shape = inputShapeOf(probe);
  const classes = probe.outputs.at(-1)!.shape.at(-1)!;
  probe.dispose();
  return tinySource({ shape, classes, seed });
}
