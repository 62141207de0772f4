import type { SlotFate, OptimizerState } from '@espalier/optim';
import { adam, followOptimizerState, migrateOptimizerState } from '@espalier/optim';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toValues } from './support.js';

// The edit: conv stays, fc/kernel [6, 4] becomes two factors, fc/bias moves to the second of them.
let old: OptimizerState;
let fresh: OptimizerState;
const edit = (_slot: string, path: string): SlotFate => {
  if (path === 'fc/kernel') return 'drop';
  if (path === 'fc/bias') return { rename: 'fc_v/bias' };
  return path.startsWith('fc_') ? 'create' : 'keep';
};

beforeEach(async () => {
  await tf.setBackend('cpu');
  tf.engine().startScope();
  const ones = (shapes: Record<string, number[]>) =>
    Object.fromEntries(Object.entries(shapes).map(([path, shape]) => [path, tf.ones(shape)]));
  const params = ones({ 'conv/kernel': [3, 2], 'fc/kernel': [6, 4], 'fc/bias': [4] });
  const transform = adam();
  old = transform.update(params, transform.init(params), params, { step: 0 }).state;
  fresh = transform.init(
    ones({ 'conv/kernel': [3, 2], 'fc_u/kernel': [6, 2], 'fc_v/kernel': [2, 4], 'fc_v/bias': [4] }),
  );
});
afterEach(() => tf.engine().endScope());

it('followOptimizerState keeps what has its path and shape, and takes the rest from the fresh ones', () => {
  const other = adam().init({ 'conv/kernel': tf.ones([3, 2]), 'fc/kernel': tf.ones([6, 2]) });
  const followed = followOptimizerState(old, other);
  for (const slot of ['adam/m', 'adam/v']) {
    expect(followed[slot]).toEqual({
      'conv/kernel': old[slot]!['conv/kernel'],
      'fc/kernel': other[slot]!['fc/kernel'],
    });
  }
});

describe('migrateOptimizerState', () => {
  it('keeps, moves, drops and creates what it was told', () => {
    const before = tf.memory().numTensors;
    const moved = migrateOptimizerState(old, fresh, edit);
    expect(tf.memory().numTensors).toBe(before);
    expect(Object.keys(moved)).toEqual(['adam/m', 'adam/v']);
    for (const slot of Object.keys(moved)) {
      expect(moved[slot]).toEqual({
        'conv/kernel': old[slot]?.['conv/kernel'],
        'fc_v/bias': old[slot]?.['fc/bias'],
        'fc_u/kernel': fresh[slot]?.['fc_u/kernel'],
        'fc_v/kernel': fresh[slot]?.['fc_v/kernel'],
      });
    }
    expect([...(toValues(moved['adam/m'] ?? {})['fc_v/bias']?.data ?? [])]).toEqual([1, 1, 1, 1]);
  });

  it('can start a slot anew while keeping another', () => {
    const moved = migrateOptimizerState(old, old, (slot) =>
      slot === 'adam/v' ? 'create' : 'keep',
    );
    expect(moved).toEqual(old);
    const renewed = migrateOptimizerState(old, fresh, (slot, path) => {
      const fate = edit(slot, path);
      return slot === 'adam/v' && fate === 'keep' ? 'create' : fate;
    });
    expect(renewed['adam/m']?.['conv/kernel']).toBe(old['adam/m']?.['conv/kernel']);
    expect(renewed['adam/v']?.['conv/kernel']).toBe(fresh['adam/v']?.['conv/kernel']);
  });

  it.each<[string, (slot: string, path: string) => SlotFate, RegExp]>([
    ['a kept slot that has no place', () => 'keep', /'fc\/kernel' has no place/],
    [
      'another shape',
      (slot, path) => (path === 'fc/kernel' ? { rename: 'fc_u/kernel' } : edit(slot, path)),
      /'fc\/kernel' has no place of its shape/,
    ],
    [
      'two for one place',
      (slot, path) => (path === 'fc/kernel' ? 'drop' : { rename: 'conv/kernel' }),
      /'fc\/bias' has no place/,
    ],
    [
      'a new slot that nothing fills',
      (slot, path) => (path === 'fc_u/kernel' ? 'keep' : edit(slot, path)),
      /nothing becomes 'adam\/m' of 'fc_u\/kernel'/,
    ],
    ['an unknown answer', () => 'kepe' as SlotFate, /kepe.*Answer 'keep'/],
  ])('refuses %s', (_, fateOf, message) => {
    expect(() => migrateOptimizerState(old, fresh, fateOf)).toThrow(message);
    expect(() => migrateOptimizerState(old, fresh, fateOf)).toThrow(
      expect.objectContaining({ code: 'optim/slot-fate' }),
    );
  });
});
