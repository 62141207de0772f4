import type { Schedule } from '@espalier/optim';
import {
  cosineSchedule,
  joinSchedules,
  oneCycleSchedule,
  polynomialSchedule,
  stepSchedule,
  warmup,
} from '@espalier/optim';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const rate = fc.double({ min: 1e-6, max: 10, noNaN: true });
const steps = fc.integer({ min: 2, max: 5000 });
const seeded = { seed: 4, numRuns: 60 };

describe('decaying schedules', () => {
  it('start at the initial rate, never rise, reach the floor and stay there', () => {
    fc.assert(
      fc.property(
        rate,
        steps,
        fc.double({ min: 0.2, max: 4, noNaN: true }),
        (initial, n, power) => {
          const floor = initial / 100;
          for (const schedule of [
            cosineSchedule({ initial, steps: n, floor }),
            polynomialSchedule({ initial, steps: n, floor, power }),
          ]) {
            expect(schedule(0)).toBeCloseTo(initial, 10);
            for (let step = 1; step <= n; step += Math.ceil(n / 20)) {
              expect(schedule(step)).toBeLessThanOrEqual(schedule(step - 1) + 1e-12);
            }
            expect(schedule(n)).toBeCloseTo(floor, 10);
            expect(schedule(10 * n)).toBe(schedule(n));
          }
        },
      ),
      seeded,
    );
  });

  it('one cycle peaks once, within its bounds', () => {
    fc.assert(
      fc.property(rate, steps, (peak, n) => {
        const schedule = oneCycleSchedule({ peak, steps: n });
        const values = Array.from({ length: n }, (_, step) => schedule(step));
        const top = values.indexOf(Math.max(...values));
        values.forEach((value, i) => {
          expect(value).toBeGreaterThan(0);
          expect(value).toBeLessThanOrEqual(peak);
          if (i > 0 && i !== top) expect(value > (values[i - 1] ?? 0)).toBe(i < top);
        });
        expect(schedule(n + 100)).toBeCloseTo(peak / 25 / 1e4, 12);
      }),
      seeded,
    );
  });
});

describe('composition', () => {
  it('warm-up rises in equal parts from above 0 and hands over without a jump', () => {
    fc.assert(
      fc.property(rate, steps, fc.integer({ min: 1, max: 50 }), (initial, n, w) => {
        const after = cosineSchedule({ initial, steps: n });
        const schedule = warmup(w, after);
        expect(schedule(0)).toBeCloseTo(initial / w, 10);
        for (let step = 1; step < w; step++) {
          const rise = schedule(step) - schedule(step - 1);
          expect(rise).toBeCloseTo((initial - initial / w) / w, 10);
        }
        expect(schedule(w)).toBe(after(0));
        expect(schedule(w + 5)).toBe(after(5));
      }),
      seeded,
    );
  });

  it('joined schedules each start at their own step 0', () => {
    const own: Schedule = (step) => step;
    const joined = joinSchedules([own, 100, own], [3, 5]);
    expect([0, 1, 2, 3, 4, 5, 6, 7].map(joined)).toEqual([0, 1, 2, 100, 100, 0, 1, 2]);
  });

  it('every and milestones of a step schedule multiply', () => {
    const schedule = stepSchedule({ initial: 8, gamma: 0.5, every: 4, milestones: [2] });
    expect([0, 1, 2, 3, 4, 8].map(schedule)).toEqual([8, 8, 4, 4, 2, 1]);
  });
});

describe('bad arguments', () => {
  it.each<[() => unknown, RegExp]>([
    [() => cosineSchedule({ initial: -1, steps: 10 }), /cosineSchedule.*initial.*-1/],
    [() => cosineSchedule({ initial: 1, steps: 0 }), /steps/],
    [() => polynomialSchedule({ initial: 1, steps: 2.5 }), /steps/],
    [() => polynomialSchedule({ initial: 1, steps: 2, power: 0 }), /power/],
    [() => oneCycleSchedule({ peak: 1, steps: 10, rise: 1 }), /rise/],
    [() => stepSchedule({ initial: 1, gamma: NaN, every: 2 }), /gamma/],
    [() => warmup(0, 0.1), /warmup.*steps/],
    [() => joinSchedules([1, 2], [5, 6]), /boundaries must rise/],
    [() => joinSchedules([1, 2, 3], [5, 5]), /boundaries must rise/],
    [() => joinSchedules([() => NaN], [])(7), /step 7/],
  ])('%#', (make, message) => {
    expect(make).toThrow(message);
  });
});
