import { allows } from '@espalier/core';
import type { NamedTensors, Plugin } from '@espalier/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { firstDifference, valuesOf, withSession } from '../compare.js';
import type { Values } from '../compare.js';
import { ConformanceError, demand } from '../fail.js';
import { openSession } from '../subject.js';
import type { Subject } from '../subject.js';
import { watch } from '../watch.js';
import type { Watched } from '../watch.js';

/**
 * Declared effects: no tap changes a parameter without a `weights:…` effect, none disposes a tensor
 * that it was only shown, and none draws from `Math.random`.
 */
export async function checkEffectsDeclared(subject: Subject): Promise<void> {
  const wrap = (plugin: Plugin) =>
    watch(plugin, (tap) => {
      const before = valuesOf(tap.context.parameters());
      const result = withoutMathRandom(tap);
      const after = () => look(tap, before, plugin.effects);
      if (result instanceof Promise) return result.then((value) => (after(), value));
      after();
      return result;
    });
  try {
    await withSession(openSession(subject, { wrap }), (session) => session.fit({ epochs: 1 }));
  } catch (error) {
    const { cause } = error as Error;
    throw cause instanceof ConformanceError ? cause : error;
  }
}

function look(tap: Watched, before: Values, effects: object): void {
  const changed = firstDifference(before, parametersNow(tap));
  const declared =
    changed !== undefined &&
    allows(effects as never, `weights:${changed}`, ['add', 'modify', 'replace', 'own']);
  demand(
    changed === undefined || declared || tap.hook === 'transform',
    'declared effects',
    `${nameOf(tap)} changed '${changed}' but declares no effect 'weights:${changed}'`,
  );
  for (const [name, tensor] of shown(tap.argument)) {
    demand(
      !tensor.isDisposed,
      'declared effects',
      `${nameOf(tap)} disposed '${name}', which it does not own`,
    );
  }
}

function nameOf({ hook, context }: Watched): string {
  return `the ${hook} tap of '${context.id}'`;
}

function parametersNow(tap: Watched): Values {
  const live = tap.context.parameters();
  const gone = Object.keys(live).find((path) => live[path]!.isDisposed);
  demand(gone === undefined, 'declared effects', `${nameOf(tap)} disposed the parameter '${gone}'`);
  return valuesOf(live);
}

/** The tensors that an argument shows: its own records, its batch's, and its micro-batches'. */
function shown(argument: unknown): [string, Tensor][] {
  type Holder = Partial<Record<'inputs' | 'targets' | 'outputs' | 'features', NamedTensors>>;
  const {
    microBatches = [],
    batch,
    ...own
  } = argument as Holder & { microBatches?: Holder[]; batch?: Holder };
  return [own, batch ?? {}, ...microBatches].flatMap(({ inputs, targets, outputs, features }) =>
    [inputs, targets, outputs, features].flatMap((group) => Object.entries(group ?? {})),
  );
}

function withoutMathRandom(tap: Watched): unknown {
  const original = Math.random;
  Math.random = () => {
    demand(false, 'declared effects', `${nameOf(tap)} draws from Math.random; use ctx.random`);
    return 0;
  };
  try {
    return tap.run();
  } finally {
    Math.random = original;
  }
}
