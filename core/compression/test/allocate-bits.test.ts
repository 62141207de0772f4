import { allocateBits, normalDistortions } from '@espalier/compression';
import type { BitAllocation, RowGroupCurve } from '@espalier/compression';
import { keyedRng } from '@espalier/core';
import { describe, expect, test } from 'vitest';

const SMALL = normalDistortions(2);

/** Groups of two directions each, of very different energies. */
function drawGroups(seed: number, fixed: number): readonly RowGroupCurve[] {
  const draw = keyedRng(seed, 'groups');
  return Array.from({ length: 3 }, () => ({
    rows: 8 * Math.ceil(20 * draw()),
    energies: [100 * draw() ** 4, 10 * draw() ** 4],
    directionBytes: Math.floor(fixed * draw()),
    groupBytes: Math.floor(fixed * draw()),
  }));
}

/** Every way to give 0, 1 or 2 bits to each direction: its bytes and its error. */
function listAll(
  groups: readonly RowGroupCurve[],
): readonly (readonly [bytes: number, error: number])[] {
  return groups.reduce<readonly (readonly [number, number])[]>(
    (before, { rows, energies, directionBytes, groupBytes }) => {
      const own = [0, 1, 2].flatMap((a) =>
        [0, 1, 2].map((b) => {
          const used = Number(a > 0) + Number(b > 0);
          const bytes = (rows * (a + b)) / 8 + used * directionBytes + (used > 0 ? groupBytes : 0);
          return [bytes, energies[0]! * SMALL[a]! + energies[1]! * SMALL[b]!] as const;
        }),
      );
      return before.flatMap(([bytes, error]) =>
        own.map(([b, e]) => [bytes + b, error + e] as const),
      );
    },
    [[0, 0]],
  );
}

function bestOf(groups: readonly RowGroupCurve[], budget: number): number {
  const fitting = listAll(groups).filter(([bytes]) => bytes <= budget);
  return Math.min(...fitting.map(([, error]) => error));
}

const spend = (groups: readonly RowGroupCurve[], budget: number): BitAllocation =>
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

  test('with fixed costs: within the budget, and near the best on average', () => {
    const ratios: number[] = [];
    for (const seed of SEEDS) {
      const groups = drawGroups(seed, 30);
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
  const groups = drawGroups(1, 30);
  const { choices, bytes, error } = spend(groups, 80);
  choices.forEach((choice, i) => {
    const [a, b] = (choice as { bits: Uint8Array }).bits as unknown as [number, number];
    const { rows, energies, directionBytes, groupBytes } = groups[i]!;
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

test('a group that can be stored as a whole is, where that is worth its bytes', () => {
  const group = { rows: 800, energies: [50, 40], directionBytes: 4, groupBytes: 4 };
  const dense = { kind: 'dense', bytes: 3200, error: 0 };
  const others = [dense, { kind: 'useless', bytes: 3300, error: 1 }];
  expect(allocateBits([{ ...group, others }], 5000).choices).toEqual([dense]);
  const [small] = allocateBits([{ ...group, others }], 912).choices;
  expect(small).toMatchObject({ kind: 'bits', bits: Uint8Array.of(5, 4) });
});

test('a frequent few rows before many rare ones: the budget is spent', () => {
  const energies = (weight: number) => Array.from({ length: 100 }, () => weight);
  const fixed = { directionBytes: 104, groupBytes: 50 };
  const groups = [
    { rows: 1000, energies: energies(2000 * 1000), ...fixed },
    { rows: 4000, energies: energies(4000), ...fixed },
  ];
  const { bytes } = allocateBits(groups, 62_500);
  expect(bytes).toBeLessThanOrEqual(62_500);
  expect(bytes).toBeGreaterThan(0.997 * 62_500);
});

test('groups without rows or energy take nothing', () => {
  const nothing = { rows: 0, energies: [0, 0], directionBytes: 1, groupBytes: 1 };
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
  ['others', { others: [{ kind: 'dense', bytes: -1, error: 0 }] }],
])('wrong %s are refused', (_, wrong) => {
  const group = { rows: 1, energies: [1], directionBytes: 0, groupBytes: 0, ...wrong };
  expect(() => allocateBits([group], 10)).toThrow(
    expect.objectContaining({ code: 'compression/allocation' }) as Error,
  );
});

test('a budget that is no number is refused', () => {
  expect(() => allocateBits([], NaN)).toThrow('in the budget');
});
