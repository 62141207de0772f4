import { barPlot, linePlot } from '@espalier/report';
import type { BarPlot, NumberFormat, XyPlot } from '@espalier/report';
import type { ExitResult } from './assess.js';
import { overSeeds } from './result.js';
import type { Results } from './result.js';
import { exitNames, numberOf, withExits } from './tables.js';

/** One number of every exit, recipe by recipe. */
export function exitBars(
  results: Results,
  title: string,
  key: Exclude<keyof ExitResult, 'exit'>,
  value: { readonly label: string; readonly format: NumberFormat },
): BarPlot {
  const series = [...results].map(([name, runs]) => ({
    name,
    // A gap where a recipe has no such exit: exits and colours then stay in order.
    bars: exitNames(results).map((label) => ({
      label,
      ...(numberOf(runs, label, key) ?? { value: null }),
    })),
  }));
  return barPlot({ title, width: 'half', value, series });
}

const WHOLE_PERCENT: NumberFormat = { style: 'percent', digits: 0 };

/** Accuracy against cost over all thresholds, of the first seed. */
export function earlyExitPlot(results: Results): XyPlot {
  const { seed } = [...results.values()][0]![0]!;
  const series = [...results].map(([name, [first]]) => ({
    name,
    points: withExits(results).has(name)
      ? first!.curve.map(({ macs, accuracy: y }) => ({ x: macs ?? null, y }))
      : [{ x: 1, y: first!.exits[0]!.accuracy }],
  }));
  return linePlot({
    title: 'Accuracy over the share of multiply-accumulates',
    caption: `Seed ${seed}. Along a line the threshold rises from 0 to never; 100% is the network without further exits.`,
    x: { label: 'mean share of multiply-accumulates', format: WHOLE_PERCENT },
    y: { label: 'test accuracy', format: WHOLE_PERCENT },
    series,
  });
}

/** A metric by epoch, with the range over seeds where there are several. */
export function learningCurves(
  results: Results,
  title: string,
  metric: string,
  y: XyPlot['y'],
): XyPlot {
  const series = [...results].map(([name, runs]) => ({
    name,
    points: runs[0]!.history.map(({ clock }, i) => {
      const { value, low, high } = overSeeds(
        runs.map(({ history }) => history[i]!.metrics[metric]!),
      )!;
      return { x: clock.epoch + 1, y: value, low, high };
    }),
  }));
  return linePlot({
    title,
    width: 'half',
    x: { label: 'epoch', format: { style: 'integer' } },
    y,
    series,
  });
}
