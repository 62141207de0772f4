import { makeSessionConfig } from '@espalier/config';
import { createSession } from '@espalier/core';
import type { PlannedRow } from '@espalier/study';
import { expect, test } from 'vitest';
import { base, rowsOf } from './studies.js';

/** A row, trained in this process: the numbers of each epoch. */
async function numbersOf({ config }: PlannedRow, seed = 1) {
  const session = await createSession({ ...(await makeSessionConfig(config)), seed });
  const { history } = await session.fit({ epochs: 3 });
  await session.dispose();
  return history.map(({ metrics }) => metrics);
}

test('dropping a plugin shifts no draw of another, of dropout, of the order or of the weights', async () => {
  // One batch an epoch: before the first update, the loss tells weights, order and dropout masks.
  const rows = await rowsOf({
    base: base({
      data: { train: './parts.ts#data', validation: './parts.ts#data' },
      batchSize: 60,
      plugins: { dice: { use: './parts.ts#dice' } },
    }),
    factors: { noise: { drop: 'noise' }, scaler: { drop: 'scaler' }, dice: { drop: 'dice' } },
  });
  const [whole, withoutNoise, withoutScaler, withoutDice] = await Promise.all([
    numbersOf(rows[0]!),
    numbersOf(rows[1]!),
    numbersOf(rows[2]!),
    numbersOf(rows[3]!),
  ]);
  const dice = (epochs: typeof whole) => epochs.map((metrics) => metrics['val/dice']);
  const loss = (epochs: typeof whole) => epochs.map((metrics) => metrics['loss']);
  expect(new Set(dice(whole)).size).toBe(3);
  expect(dice(withoutNoise)).toEqual(dice(whole));
  expect(dice(withoutScaler)).toEqual(dice(whole));
  expect(loss(withoutNoise)[0]).toBe(loss(whole)[0]);
  expect(loss(withoutDice)).toEqual(loss(whole)); // the noise draws the same without the dice
  expect(loss(withoutNoise)[2]).not.toBe(loss(whole)[2]); // and it does something

  const other = await numbersOf(rows[0]!, 2);
  expect(dice(other)).not.toEqual(dice(whole));
  expect(loss(other)[0]).not.toBe(loss(whole)[0]);
});
