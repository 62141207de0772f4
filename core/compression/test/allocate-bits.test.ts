import { allocateBits, normalDistortions } from '@espalier/compression';
import type { BitAllocation, RowGroup } from '@espalier/compression';
import { keyedRng } from '@espalier/core';
import { describe, expect, test } from 'vitest';

const SMALL = normalDistortions(2);

/** Groups of two directions each, of very different energies. */
function drawGroups(seed: number, fixed: number, bases = 1): readonly RowGroup[] {
  const draw = keyedRng(seed, 'groups');
  return Array.from({ length: 3 }, () => ({
    rows: 8 * Math.ceil(20 * draw()),
    bases: Array.from({ length: bases }, () => ({
      energies: [100 * draw() ** 4, 10 * draw() ** 4],
      directionBytes: Math.floor(fixed * draw()),
      groupBytes: Math.floor(fixed * draw()),
    })),
  }));
}

/** Every way to give 0, 1 or 2 bits to each direction: its bytes and its error. */
function listAll(
  groups: readonly RowGroup[],
): readonly (readonly [bytes: number, error: number])[] {
  return groups.reduce<readonly (readonly [number, number])[]>(
    (before, { rows, bases }) => {
      const own = bases.flatMap(({ energies, directionBytes, groupBytes }) =>
        [0, 1, 2].flatMap((a) =>
          [0, 1, 2].map((b) => {
            const used = Number(a > 0) + Number(b > 0);
            const fixed = used * directionBytes + (used > 0 ? groupBytes : 0);
            const error = energies[0]! * SMALL[a]! + energies[1]! * SMALL[b]!;
            return [(rows * (a + b)) / 8 + fixed, error] as const;
          }),
        ),
      );
      return before.flatMap(([bytes, error]) =>
        own.map(([b, e]) => [bytes + b, error + e] as const),
      );
    },
    [[0, 0]],
  );
}

function bestOf(groups: readonly RowGroup[], budget: number): number {
  const fitting = listAll(groups).filter(([bytes]) => bytes <= budget);
  return Math.min(...fitting.map(([, error]) => error));
}

const spend = (groups: readonly RowGroup[], budget: number): BitAllocation =>
  allocateBits(groups, budget, { distortions: SMALL });

const SEEDS = Array.from({ length: 40 }, (_, seed) => seed);
const BUDGETS = [0, 1, 20, 50, 100, 200, 1000];

describe('against all ways there are', () => {
  test('without fixed costs: the best, to within the bytes of one bit', () => {
    for (const seed of SEEDS) {
      const groups = drawGroups(seed, 0);
      const step = Math.max(...groups.map(({ rows }) => rows / 8));
      for (const budget of BUDGETS) {
        const { bytes, error } = spend(groups, budget);
        expect(bytes).toBeLessThanOrEqual(budget);
        expect(error).toBeGreaterThanOrEqual(bestOf(groups, budget) - 1e-9);
        if (budget >= step) expect(error).toBeLessThanOrEqual(bestOf(groups, budget - step) + 1e-9);
      }
    }
  });

  test.each([1, 2])('with fixed costs, %i bases: near the best on average', (bases) => {
    const ratios: number[] = [];
    for (const seed of SEEDS) {
      const groups = drawGroups(seed, 30, bases);
      for (const budget of BUDGETS) {
        const { bytes, error } = spend(groups, budget);
        expect(bytes).toBeLessThanOrEqual(budget);
        ratios.push(error / bestOf(groups, budget));
      }
    }
    expect(Math.min(...ratios)).toBeGreaterThan(1 - 1e-9);
    expect(ratios.reduce((a, b) => a + b) / ratios.length).toBeLessThan(1.1);
  });
});

test('what it says of each choice is what it costs', () => {
  const groups = drawGroups(1, 30, 2);
  const { choices, bytes, error } = spend(groups, 80);
  choices.forEach((choice, i) => {
    const [a, b] = choice.bits as unknown as [number, number];
    const { rows, bases } = groups[i]!;
    const { energies, directionBytes, groupBytes } = bases[choice.basis]!;
    const used = Number(a > 0) + Number(b > 0);
    const fixed = used * directionBytes + (used > 0 ? groupBytes : 0);
    expect(choice.bytes).toBeCloseTo((rows * (a + b)) / 8 + fixed, 9);
    expect(choice.error).toBeCloseTo(energies[0]! * SMALL[a]! + energies[1]! * SMALL[b]!, 9);
  });
  expect(bytes).toBeCloseTo(
    choices.reduce((sum, each) => sum + each.bytes, 0),
    9,
  );
  expect(error).toBeCloseTo(
    choices.reduce((sum, each) => sum + each.error, 0),
    9,
  );
});

test('few rows take the basis that is cheap, many rows the one that is good', () => {
  const good = { energies: [90, 0], directionBytes: 100, groupBytes: 0 };
  const cheap = { energies: [50, 40], directionBytes: 1, groupBytes: 0 };
  const choose = (rows: number) => {
    return allocateBits([{ rows, bases: [cheap, good] }], rows / 2).choices[0]!.basis;
  };
  expect([choose(80), choose(8000)]).toEqual([0, 1]);
});

test('a frequent few rows before many rare ones: the budget is spent', () => {
  const energies = (weight: number) => Array.from({ length: 100 }, () => weight);
  const fixed = { directionBytes: 104, groupBytes: 50 };
  const groups = [
    { rows: 1000, bases: [{ energies: energies(2000 * 1000), ...fixed }] },
    { rows: 4000, bases: [{ energies: energies(4000), ...fixed }] },
  ];
  const { bytes } = allocateBits(groups, 62_500);
  expect(bytes).toBeLessThanOrEqual(62_500);
  expect(bytes).toBeGreaterThan(0.997 * 62_500);
});

test('groups without rows or energy take nothing', () => {
  const bases = [{ energies: [0, 0], directionBytes: 1, groupBytes: 1 }];
  const nothing = { rows: 0, bases };
  expect(allocateBits([nothing, { ...nothing, rows: 10 }], 100)).toMatchObject({
    bytes: 0,
    error: 0,
  });
  expect(allocateBits([], 10)).toEqual({ choices: [], bytes: 0, error: 0 });
});

test.each([
  ['energies', { energies: [1, NaN] }],
  ['energies', { energies: [-1] }],
  ['bytes', { directionBytes: Infinity }],
])('wrong %s are refused', (_, wrong) => {
  const basis = { energies: [1], directionBytes: 0, groupBytes: 0, ...wrong };
  expect(() => allocateBits([{ rows: 1, bases: [basis] }], 10)).toThrow(
    expect.objectContaining({ code: 'compression/allocation' }) as Error,
  );
});

test('a budget that is no number is refused', () => {
  expect(() => allocateBits([], NaN)).toThrow('in the budget');
});
