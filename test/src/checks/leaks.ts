import { HOOKS } from '@espalier/core';
import type { HookName, HookRow, Session, TapCost } from '@espalier/core';
import * as tfl from '@tensorflow/tfjs-layers';
import { liveTensors, withSession } from '../compare.js';
import { demand } from '../fail.js';
import { openSession } from '../subject.js';
import type { Subject } from '../subject.js';

/**
 * Leaks: the number of tensors after an epoch is what it was an epoch before, everything is gone
 * after dispose, and no patch of a global or a prototype outlives the run.
 */
export async function checkLeaks(subject: Subject): Promise<void> {
  const before = liveTensors();
  const patched = globals();
  await withSession(openSession(subject), async (session) => {
    await session.fit({ epochs: 1 });
    const [settled, taps] = [liveTensors(), grownByTap(session)];
    await session.fit({ untilEpoch: 3 });
    const grown = liveTensors() - settled;
    demand(
      grown === 0,
      'leaks',
      `${grown} tensors are left over after two more epochs; ${blame(session, taps, grown)}`,
    );
  });
  const left = liveTensors() - before;
  demand(left === 0, 'leaks', `${left} tensors outlive the run; free them in ctx.onTeardown`);
  const changed = globals().findIndex((value, i) => value !== patched[i]);
  demand(
    changed < 0,
    'leaks',
    `${GLOBALS[changed]} stays patched after the run; undo it in ctx.onTeardown`,
  );
}

/** Tensors that each tap added so far, in the order of the trace. */
function grownByTap(session: Session): readonly number[] {
  return session.inspect().tapCosts.map(({ tensors }) => tensors);
}

/** Names the taps that `grown` tensors may come from, and what to do. */
function blame(session: Session, before: readonly number[], grown: number): string {
  const taps = session
    .inspect()
    .tapCosts.map((tap, i) => ({ ...tap, tensors: tap.tensors - before[i]! }))
    .filter(({ tensors }) => tensors !== 0);
  const unfreed = taps.filter(({ hook }) => !isFreedLater(hook));
  const explained = unfreed.reduce((sum, { tensors }) => sum + tensors, 0) === grown;
  const named = (explained ? unfreed : taps).map(nameOf).join(', ');
  return named
    ? `tensors added by tap: ${named}. Wrap the tap's work in tf.tidy without tf.keep, or dispose in the tap what it replaces`
    : 'no tap added any while it ran. Await its promises, and dispose what services and listeners make';
}

/** Whether the trainer frees what taps of the hook leave: results handed on, and tidied zones. */
function isFreedLater(hook: HookName): boolean {
  const { kind, phase }: HookRow = HOOKS[hook];
  return kind.endsWith('waterfall') || phase === 'objective' || phase === 'evaluate';
}

function nameOf({ plugin, hook, tensors }: TapCost): string {
  return `${hook} of '${plugin}' ${tensors > 0 ? '+' : ''}${tensors}`;
}

const GLOBALS = [
  'Math.random',
  'LayerVariable.read',
  'LayerVariable.write',
  'Layer.apply',
  'Layer.call',
];

function globals(): readonly unknown[] {
  const variable = tfl.LayerVariable.prototype;
  const layer = tfl.layers.Layer.prototype;
  return [Math.random, variable.read, variable.write, layer.apply, layer.call];
}
