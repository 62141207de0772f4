/**
 * Chooses the preset's defaults of meta-learning by a rule that cannot choose to leave it out: among
 * settings whose targets are right often enough and whose training takes at most 1.6 times as long as with
 * `meta: false`, the one with the lowest outer loss. Short runs on the network of the study; goes on where it
 * stopped. `npm run build && DATA=path/to/cifar-100-binary node examples/dist/metadistiller/defaults.js`
 */
import { useBackend } from '@espalier/backend';
import { createSession, crossEntropy } from '@espalier/core';
import type { Preset } from '@espalier/core';
import { metadistiller } from '@espalier/preset-metadistiller';
import { table, toText } from '@espalier/report';
import { train, validation } from '../cifar/data.js';
import { machineLine } from '../machine.js';
import { resnet } from '../networks/resnet.js';
import { exitLosses } from './exit-losses.js';
import { runMissing } from './records.js';
import type { Recorded } from './records.js';
import { augmented } from './rows.js';
import { at, measuredImages, network, optimizer, trainingImages } from './setting.js';

const FILE = 'examples/metadistiller/defaults.jsonl';
const EPOCHS = 16;
const SEED = 201;
const LARGEST_COST = 1.6;
const CHANCE = 1 / network.classes;

type Setting = Readonly<{
  /** An outer step every so many steps; 0: none, labels alone teach the generator. */
  interval: number;
  /** Of the generator's optimizer, in warm-up and in outer steps. */
  rate: number;
  /** `better`: until targets are right more often than exits; or so many epochs. */
  warmup: number | 'better';
  /** Weight of the labels after it. */
  labels: number;
  /** Norm of a hypergradient in norms of what labels gave since the last one; 0: as it is. */
  share: number;
  /** Rate of the virtual step: the run's, or a fixed one. */
  virtual: number | 'run';
}>;

type Measured =
  | 'outer loss'
  | 'targets 1'
  | 'targets 2'
  | 'exit 1'
  | 'exit 2'
  | 'exit 3'
  | 'from uniform'
  | 'change'
  | 'CPU seconds';

type Result = Recorded<Setting, Measured>;

const base = { rate: 3e-3, warmup: 'better', virtual: 'run' } as const;
const withoutMeta: Setting = { interval: 0, labels: 1, share: 1, ...base };
const SHARES = [0.3, 1, 0.1, 3];
/** The time does not depend on the share, so one is enough to see what an outer step every 2 takes. */
const INTERVALS = { 4: SHARES, 8: SHARES, 2: [0.1] };
const GRID: readonly Setting[] = Object.entries(INTERVALS).flatMap(([interval, shares]) =>
  shares.map((share) => ({ interval: Number(interval), labels: 0.3, share, ...base })),
);

const backend = await useBackend({ prefer: ['tfjs-node-gpu', 'wasm'], threads: 1 });
const machine = machineLine(backend);
const held = validation(measuredImages(20));
const measure = (settings: readonly Setting[]) =>
  runMissing(FILE, machine, settings, measureSetting);

const [reference] = (await measure([withoutMeta])) as [Result];
const grid = await measure(GRID);
const around = (await measure(variations(choose(grid) ?? GRID[0]!))) as Result[];
report([...grid, ...around]);

/** One change each, around the best of the grid. */
function variations({ interval, labels, share }: Setting): readonly Setting[] {
  const best = { interval, labels, share, ...base };
  return [
    { ...best, labels: 1 },
    { ...best, rate: 1e-3 },
    { ...best, rate: 1e-2 },
    { ...best, virtual: 0.1 },
    { ...best, warmup: 8 },
    { ...best, labels: 0, share: 0 },
  ];
}

/** The lowest outer loss among what is allowed. */
function choose(results: readonly Result[]): Result | undefined {
  const [best] = results
    .filter((result) => objections(result).length === 0)
    .toSorted((a, b) => a['outer loss'] - b['outer loss']);
  return best;
}

/** Why a setting may not be chosen. */
function objections(result: Result): readonly string[] {
  const each = [
    [result['targets 1'], result['exit 1']],
    [result['targets 2'], result['exit 2']],
  ] as const;
  return [
    ...(each.some(([targets]) => targets < 5 * CHANCE) ? ['under 5 × chance'] : []),
    ...(each.some(([targets, exit]) => targets <= exit) ? ['not above the exit'] : []),
    ...(costOf(result) > LARGEST_COST ? ['takes too long'] : []),
  ];
}

function costOf(result: Result): number {
  return result['CPU seconds'] / reference['CPU seconds'];
}

function presetOf({ interval, rate, warmup, labels, share, virtual }: Setting): Preset {
  const generator = { learningRate: rate };
  if (interval === 0) return metadistiller({ at, generator, meta: false });
  const rule =
    warmup === 'better' ? { until: warmup, earliest: 3, latest: 10 } : { epochs: warmup };
  return metadistiller({
    at,
    generator: { ...generator, labelWeight: { ...rule, then: labels } },
    meta: { interval, innerLearningRate: virtual, ...(share > 0 && { share }) },
  });
}

async function measureSetting(setting: Setting): Promise<Readonly<Record<Measured, number>>> {
  const images = train(trainingImages(SEED));
  const session = await createSession({
    model: () => resnet(network),
    preset: augmented(presetOf(setting), { 'exit-losses': { use: exitLosses } }),
    loss: crossEntropy(),
    optimizer: optimizer(0.1, EPOCHS),
    train: images,
    seed: SEED,
  });
  session.telemetry.on('warning', ({ message }) => console.error(message));
  const before = process.cpuUsage();
  const { history } = await session.fit({ epochs: EPOCHS });
  const { user, system } = process.cpuUsage(before);
  const [fitted, unseen] = [await session.evaluate(images), await session.evaluate(held)];
  await session.dispose();
  const exits = ['exit_1', 'exit_2'];
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length;
  return {
    'outer loss': mean([unseen['loss']!, ...exits.map((exit) => unseen[`loss/${exit}`]!)]),
    'targets 1': fitted['targets/exit_1/accuracy']!,
    'targets 2': fitted['targets/exit_2/accuracy']!,
    'exit 1': fitted['accuracy/exit_1']!,
    'exit 2': fitted['accuracy/exit_2']!,
    'exit 3': unseen['accuracy']!,
    'from uniform': mean(exits.map((exit) => fitted[`targets/${exit}/from-uniform`]!)),
    change: history.at(-1)!.metrics['bilevel/change'] ?? 0,
    'CPU seconds': (user + system) / 1e6,
  };
}

function report(results: readonly Result[]): void {
  const chosen = choose(results);
  const percent = { style: 'percent', digits: 1 } as const;
  const fixed = (digits: number) => ({ style: 'fixed', digits }) as const;
  const rows = [reference, ...results].map((result) => ({
    ...result,
    interval: result.interval === 0 ? 'never' : result.interval,
    cost: costOf(result),
    verdict: result === chosen ? 'chosen' : objections(result).join(', '),
  }));
  const columns = [
    { key: 'interval', label: 'outer step every' },
    { key: 'rate', label: 'rate' },
    { key: 'warmup', label: 'warm-up' },
    { key: 'labels', label: 'labels after it' },
    { key: 'share', label: 'share' },
    { key: 'virtual', label: 'η' },
    { key: 'outer loss', label: 'outer loss', format: fixed(4) },
    ...['targets 1', 'exit 1', 'targets 2', 'exit 2', 'exit 3'].map((key) => ({
      key,
      label: key,
      format: percent,
    })),
    { key: 'from uniform', label: 'from uniform', format: fixed(3) },
    { key: 'change', label: 'change of φ', format: percent },
    { key: 'cost', label: 'time', format: fixed(2) },
    { key: 'verdict', label: '' },
  ];
  console.log(`${machine}
${EPOCHS} epochs, seed ${SEED}. Outer loss: mean cross-entropy of the three exits on validation images; exit 3: accuracy
there. Targets and exits 1 and 2: accuracy on training images. Time: times that without meta-learning.
${toText(table({ columns, rows }))}`);
}
