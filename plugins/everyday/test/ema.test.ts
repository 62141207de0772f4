import { ema } from '@espalier/plugin-everyday';
import {
  firstDifference,
  onBackend,
  tinyNoisyMlp,
  tinySource,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import type { Values } from '@espalier/testkit';
import { beforeAll, describe, expect, test } from 'vitest';
import { open, plugin } from './support.js';

beforeAll(() => onBackend('cpu'));

const EPOCHS = 4;
const STATISTICS = /moving_/;

type Options = NonNullable<Parameters<typeof ema>[0]>;

/** Trains beside a plugin that notes the weights after each step, those before the first one included. */
async function train(options: Options) {
  const steps: Values[] = [];
  const noting = plugin('noting', (ctx) => {
    ctx.hooks.beforeApply.tap(() => void (steps.length === 0 && note()));
    ctx.hooks.afterApply.tap(() => note());
    const note = () => void steps.push(valuesOf(ctx.parameters()));
  });
  const more = { model: tinyNoisyMlp, validation: tinySource({ examples: 6, seed: 1 }) };
  return withSession(open({ ...more, plugins: [ema(options), noting] }), async (session) => {
    const { history } = await session.fit({ epochs: EPOCHS });
    return {
      steps,
      after: valuesOf(session.parameters()),
      validated: history.at(-1)!.metrics['val/loss'],
      evaluated: (await session.evaluate())['loss'],
    };
  });
}

/** The average in float64, number by number, from the weights that `t` updates saw. */
function average(seen: readonly Values[], path: string, rate: (t: number) => number): number[] {
  const [first, ...rest] = seen.map((each) => [...each.get(path)!]) as [number[], ...number[][]];
  return rest.reduce((a, w, t) => a.map((value, i) => value + rate(t) * (w[i]! - value)), first);
}

function expectClose(actual: ArrayLike<number>, expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  expected.forEach((value, i) => expect(actual[i]).toBeCloseTo(value, 5));
}

describe('ema', () => {
  const decay = 0.8;
  const rates = {
    none: () => 1 - decay,
    'warm-up': (t: number) => 1 - Math.min(decay, (1 + t) / (10 + t)),
  };

  test.each(['none', 'warm-up'] as const)(
    'averages from the first weights on: %s',
    async (start) => {
      const { steps, after } = await train({ decay, start });
      for (const path of ['hidden/kernel', 'logits/bias']) {
        expectClose(after.get(path)!, average(steps, path, rates[start]));
      }
    },
  );

  test('corrected for its bias, it is the mean by powers of the decay', async () => {
    const { steps, after } = await train({ decay });
    const trained = steps.slice(1).map((each) => [...each.get('hidden/kernel')!]);
    const powers = trained.map((_, t) => decay ** (trained.length - 1 - t));
    const sum = powers.reduce((a, b) => a + b, 0);
    const mean = trained[0]!.map((_, i) =>
      trained.reduce((total, w, t) => total + (powers[t]! / sum) * w[i]!, 0),
    );
    expectClose(after.get('hidden/kernel')!, mean);
  });

  test('every so many steps', async () => {
    const { steps, after } = await train({ decay, start: 'none', every: 2 });
    const seen = [steps[0]!, steps[2]!, steps[4]!];
    expectClose(after.get('hidden/kernel')!, average(seen, 'hidden/kernel', rates.none));
  });

  test('moving statistics stay those of the model, or are averaged too', async () => {
    const [current, averaged] = [
      await train({ decay, start: 'none' }),
      await train({ decay, start: 'none', statistics: 'average' }),
    ];
    const paths = [...current.after.keys()].filter((path) => STATISTICS.test(path));
    expect(paths).toHaveLength(2);
    for (const path of paths) {
      expect(current.after.get(path)).toEqual(current.steps.at(-1)!.get(path));
      expectClose(averaged.after.get(path)!, average(averaged.steps, path, rates.none));
    }
  });

  test('is what evaluations use, and training does not', async () => {
    const [placed, apart, off] = [
      await train({ decay }),
      await train({ decay, putInPlace: false }),
      await train({ decay, putInPlace: false, evaluate: false }),
    ];
    expect(placed.evaluated).toBe(placed.validated);
    expect(apart).toMatchObject({ validated: placed.validated, evaluated: placed.evaluated });
    expect(off.validated).not.toBe(placed.validated);
    for (const { after } of [apart, off]) {
      expect(firstDifference(after, placed.steps.at(-1)!)).toBeUndefined();
    }
  });
});
