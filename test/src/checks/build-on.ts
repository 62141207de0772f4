import type { Batch, HookName, NamedTensors, Plugin } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { valuesOf, withSession } from '../compare.js';
import type { Values } from '../compare.js';
import { demand } from '../fail.js';
import { openSession, pluginOf } from '../subject.js';
import type { PluginSubject } from '../subject.js';
import { watch } from '../watch.js';

/** The hooks that hand a value from tap to tap, by the kind of effect that opens them. */
const HANDING = ['batch', 'targets', 'gradients'] as const satisfies readonly HookName[];
type Handing = (typeof HANDING)[number];

/** Steps that are looked at: some plugins begin late. */
const STEPS = [0, 1, 2];

/**
 * Building on others: what a tap makes of a batch, of targets or of gradients depends on what it is
 * given, where the plugin declares `add` or `modify`: beside a companion that changes the value
 * before it, its result is another one. Zeros are exempt: who scales by 0 gives them whatever comes.
 */
export async function checkBuildsOn(subject: PluginSubject): Promise<void> {
  const { effects, id } = pluginOf(subject);
  for (const hook of HANDING.filter((each) => buildsOn(effects, each))) {
    const plain = await callsOf(subject, hook, undefined);
    for (const step of STEPS) {
      const name = ignoredIn(plain.get(step), (await callsOf(subject, hook, step)).get(step));
      demand(
        name === undefined,
        'building on others',
        `the ${hook} tap of '${id}' gives the same '${name}' whatever it is given, so it discards what other plugins did; build on the argument, or declare effects: { ${hook}: 'replace' }, which comes before others`,
      );
    }
  }
}

function buildsOn(effects: Plugin['effects'], kind: Handing): boolean {
  const modes = Object.entries(effects)
    .filter(([resource]) => resource === kind || resource.startsWith(`${kind}:`))
    .map(([, mode]) => mode);
  return modes.length > 0 && modes.every((mode) => mode === 'add' || mode === 'modify');
}

interface Call {
  readonly given: Values;
  readonly returned: Values;
}

/** What the subject's taps were given and gave, by step; one step's values are changed before them. */
async function callsOf(subject: PluginSubject, hook: Handing, changed: number | undefined) {
  const calls = new Map<number, Call[]>();
  const wrap = (plugin: Plugin) =>
    watch(plugin, (tap) => {
      if (tap.hook !== hook) return tap.run();
      const { step } = tap.context.clock;
      const given = valuesIn(tap.argument);
      const note = (result: unknown) => {
        calls.set(step, [...(calls.get(step) ?? []), { given, returned: valuesIn(result) }]);
        return result;
      };
      const result = tap.run();
      return result instanceof Promise ? result.then(note) : note(result);
    });
  const changing = changes({ hook, step: changed ?? -1, before: pluginOf(subject).id });
  const companions = () => [...(subject.companions?.() ?? []), changing];
  await withSession(openSession({ ...subject, companions }, { wrap }), (session) =>
    session.fit({ epochs: 1 }),
  );
  return calls;
}

function valuesIn(value: unknown): Values {
  const { inputs, targets, ...rest } = value as Partial<Batch>;
  return valuesOf(inputs ? { ...inputs, ...targets } : (rest as NamedTensors));
}

/** The name of what came out alike though it went in differently. */
function ignoredIn(plain: readonly Call[] = [], changed: readonly Call[] = []): string | undefined {
  for (const [i, { given, returned }] of changed.entries()) {
    const other = plain[i];
    const name = [...returned.keys()].find(
      (each) =>
        differs(given.get(each), other?.given.get(each)) &&
        !differs(returned.get(each), other?.returned.get(each)) &&
        returned.get(each)!.some((x) => x !== 0),
    );
    if (name !== undefined) return name;
  }
  return undefined;
}

function differs(a: ArrayLike<number> | undefined, b: ArrayLike<number> | undefined): boolean {
  if (!a || !b) return false;
  return a.length !== b.length || Array.from(a).some((value, i) => !Object.is(value, b[i]));
}

interface Change {
  readonly hook: Handing;
  readonly step: number;
  /** The plugin that is given what this one changed. */
  readonly before: string;
}

/** A plugin that changes what a hook hands on in one step, and ends the fit behind the last looked at. */
function changes({ hook, step, before }: Change): Plugin {
  return {
    id: 'testkit-change',
    version: '1.0.0',
    apiVersion: 1,
    options: {},
    effects: { [hook]: 'modify' },
    order: { before: [before] },
    stateless: true,
    apply(ctx) {
      const now = () => ctx.clock.step === step;
      const taps = {
        batch: (batch: Batch) => (now() ? reversed(batch) : batch),
        targets: (targets: NamedTensors) => (now() ? each(targets, backwards) : targets),
        gradients: (gradients: NamedTensors) => (now() ? each(gradients, stirred) : gradients),
      };
      ctx.hooks[hook].tap(taps[hook] as never);
      ctx.hooks.afterStep.tap(() => {
        if (ctx.clock.step > Math.max(...STEPS)) ctx.stop('enough was seen');
      });
    },
  };
}

function reversed(batch: Batch): Batch {
  const { inputs, targets } = batch;
  return { ...batch, inputs: each(inputs, backwards), targets: each(targets, backwards) };
}

/** The examples of a batch in the opposite order: fit for whatever they are. */
function backwards(tensor: tf.Tensor): tf.Tensor {
  return tf.reverse(tensor, 0);
}

/** Another direction and another length. */
function stirred(tensor: tf.Tensor): tf.Tensor {
  return tf.mul(tensor.rank === 0 ? tensor : tf.reverse(tensor), 1.5);
}

function each(tensors: NamedTensors, change: (tensor: tf.Tensor) => tf.Tensor): NamedTensors {
  return Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, change(t)]));
}
