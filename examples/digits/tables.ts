import { numberFormatter, table } from '@espalier/report';
import type { Estimate, NumberFormat, Table } from '@espalier/report';
import type { ExitResult } from './assess.js';
import { overSeeds } from './result.js';
import type { Results, RunResult } from './result.js';

const TARGETS = 'targets of';

export const PERCENT: NumberFormat = { style: 'percent', digits: 1 };
const COSTS = [
  { key: 'macs', label: 'MACs', format: { style: 'compact', digits: 3 } },
  { key: 'parameters', label: 'parameters', format: { style: 'integer' } },
  { key: 'milliseconds', label: 'ms per image', format: { style: 'fixed', digits: 2 } },
] as const;

/** Exits by name, shallowest first, the ensemble last. */
export function exitNames(results: Results): readonly string[] {
  const most = [...results.values()].map(([first]) => first!.exits.map(({ exit }) => exit));
  return most.reduce((a, b) => (b.length > a.length ? b : a), []);
}

/** A number of an exit over the seeds of a recipe; undefined where it has no such exit. */
export function numberOf(
  runs: readonly RunResult[],
  exit: string,
  key: Exclude<keyof ExitResult, 'exit'>,
): Estimate | undefined {
  return overSeeds(runs.flatMap(({ exits }) => exits.find((e) => e.exit === exit)?.[key] ?? []));
}

/** The accuracy of each exit, a row for each recipe. */
export function accuracyTable(results: Results): Table {
  const exits = exitNames(results);
  const rowOf = (recipe: string, runs: readonly RunResult[], key: 'accuracy' | 'targets') => ({
    recipe,
    ...Object.fromEntries(exits.map((exit) => [exit, numberOf(runs, exit, key)])),
  });
  const rows = [...results].flatMap(([recipe, runs]) => [
    rowOf(recipe, runs, 'accuracy'),
    ...(hasTargets(runs) ? [rowOf(`${TARGETS} ${recipe}`, runs, 'targets')] : []),
  ]);
  return table({
    title: 'Accuracy on the test images',
    caption: `The ensemble averages the probabilities of all exits. “${TARGETS} …”: how often the soft target from which an exit learns names the right digit. An exit can learn from targets that are right more often than itself.`,
    columns: [
      { key: 'recipe', label: 'trained' },
      ...exits.map((key) => ({ key, label: key, format: PERCENT })),
    ],
    rows,
  });
}

function hasTargets(runs: readonly RunResult[]): boolean {
  return runs.some(({ exits }) => exits.some(({ targets }) => targets !== undefined));
}

/** What each exit costs where there are several. */
export function costTable(results: Results): Table {
  const rows = exitNames(results).map((exit) => ({
    exit,
    ...Object.fromEntries(
      COSTS.map(({ key, format }) => [key, costCell(results, exit, key, format)]),
    ),
  }));
  return table({
    title: 'Cost of each exit',
    caption: `MACs are multiply-accumulates per image; an exit is run alone, without the exits before it. Two values are those of ${costOrder(results)}.`,
    columns: [
      { key: 'exit', label: 'exit' },
      ...COSTS.map(({ key, label }) => ({ key, label, align: 'right' as const })),
    ],
    rows,
  });
}

function costOrder(results: Results): string {
  return [...withExits(results).keys()].join(' / ');
}

/** The recipes whose networks have several exits. */
export function withExits(results: Results): Results {
  return new Map([...results].filter(([, [first]]) => first!.curve.length > 0));
}

function costCell(
  results: Results,
  exit: string,
  key: (typeof COSTS)[number]['key'],
  format: NumberFormat,
): string {
  const write = numberFormatter(format);
  const costs = [...withExits(results).values()].map((runs) => numberOf(runs, exit, key)?.value);
  return [...new Set(costs.map((cost) => write(cost ?? NaN)))].join(' / ');
}

const THRESHOLDS = [0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.01];

/** Early exit at some thresholds, of one run. */
export function curveTable(recipe: string, { curve, seed }: RunResult): Table {
  const rows = curve
    .filter(({ threshold }) => THRESHOLDS.includes(threshold))
    .map(({ threshold, accuracy, macs, histogram }) => ({
      threshold: threshold > 1 ? 'never' : String(threshold),
      accuracy,
      macs,
      exits: histogram.join(' / '),
    }));
  return table({
    title: `Early exit, ${recipe}, seed ${seed}`,
    caption:
      '100 % is the network without exits; an image that passes every exit pays for these too.',
    columns: [
      { key: 'threshold', label: 'threshold', align: 'right' },
      { key: 'accuracy', label: 'accuracy', format: PERCENT },
      { key: 'macs', label: 'share of MACs', format: PERCENT },
      { key: 'exits', label: 'images at exit 1 / 2 / 3', align: 'right' },
    ],
    rows,
  });
}

type Entry = readonly [recipe: string, runs: readonly RunResult[]];

/** What each recipe gains over the first with the same seed; undefined for a single seed. */
export function gainTable(results: Results): Table | undefined {
  const [[baseline, base], ...others] = [...results] as unknown as readonly [Entry, ...Entry[]];
  if (base.length < 2) return undefined;
  const own = exitNames(results).at(-2)!;
  const accuracy = ({ exits }: RunResult) => exits.find(({ exit }) => exit === own)!.accuracy;
  const rows = others.map(([recipe, runs]) => ({
    recipe,
    gain: overSeeds(runs.map((run, i) => 100 * (accuracy(run) - accuracy(base[i]!)))),
  }));
  return table({
    title: `Gain over ${baseline} at ${own}`,
    caption: `Percentage points, paired by seed: mean [lowest, highest] of ${base.length} seeds.`,
    columns: [
      { key: 'recipe', label: 'recipe' },
      { key: 'gain', label: 'points', format: { style: 'fixed', digits: 1 } },
    ],
    rows,
  });
}

const TAUGHT = ['exit_1', 'exit_2'];

/** Epoch by epoch, whether the soft targets of a run are better than the exits that learn from them. */
export function teachingTable(recipe: string, { history, seed }: RunResult): Table {
  const exits = TAUGHT.flatMap((exit) => [`val/targets/${exit}/accuracy`, `val/accuracy/${exit}`]);
  const metrics = [...exits, 'val/accuracy', 'val/accuracy/ensemble', 'bilevel/change'];
  const labels = ['targets 1', 'exit 1', 'targets 2', 'exit 2', 'exit 3', 'ensemble', 'moved'];
  return table({
    title: `Who teaches whom, ${recipe}, seed ${seed}`,
    caption:
      'Accuracy on the validation images after each epoch. “targets 1” teach exit 1, “targets 2” exit 2. First the generator of the targets learns from the labels; then meta-learning changes it, too. “moved”: by how much its weights have changed since then.',
    columns: [
      { key: 'epoch', label: 'epoch' },
      ...metrics.map((key, i) => ({ key, label: labels[i]!, format: PERCENT })),
    ],
    rows: history.map(({ clock, metrics: values }) => ({ ...values, epoch: clock.epoch + 1 })),
  });
}

/** The recipes whose exits learn from soft targets. */
export function withTargets(results: Results): Results {
  return new Map([...results].filter(([, runs]) => hasTargets(runs)));
}
