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
    const settled = liveTensors();
    await session.fit({ epochs: 3 });
    const grown = liveTensors() - settled;
    demand(grown === 0, 'leaks', `${grown} tensors are left over after two more epochs`);
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
