import { keyedRng } from '@espalier/base';
import { holm, pairedDifference, summary } from '@espalier/study';
import type {
  Comparison,
  CostFinding,
  Findings,
  MetricFinding,
  RecordedRow,
  RowFindings,
  TrialCost,
  TrialRecord,
} from '@espalier/study';

/** A row as a test asks for it. */
export interface MadeRow {
  readonly name: string;
  /** What it gains over the base in accuracy. */
  readonly gain?: number;
  /** Its cost over the base's. */
  readonly cost?: number;
  readonly kind?: 'row' | 'equal-compute';
  readonly epochs?: number;
  readonly diff?: readonly string[];
  readonly sets?: readonly string[];
  /** Seeds whose trial failed. */
  readonly failed?: readonly number[];
  /** Seeds whose trial has not ended. */
  readonly pending?: readonly number[];
  /** Whether the gain is the same for every seed. */
  readonly exact?: boolean;
}

export interface MadeStudy extends Partial<Omit<Findings, 'rows' | 'seeds'>> {
  readonly rows: readonly MadeRow[];
  readonly seeds?: number;
  readonly message?: string;
  /** Name of the primary metric. */
  readonly primary?: string;
}

const EPOCHS = 12;
const backend = {
  name: 'wasm',
  package: '@tensorflow/tfjs-backend-wasm',
  version: '4.22.0',
  simd: true,
  threads: 1,
  device: null,
  line: 'backend wasm (WebAssembly 4.22.0, SIMD, 1 thread); passed over node: not installed',
};
const data = { train: '0123456789abcdef', validation: 'fedcba9876543210' };

/** Findings as a study of these rows could have them; the first row is the base. */
export function madeFindings({
  rows,
  seeds: n = 10,
  message = 'It ran out of memory.',
  primary = 'accuracy',
  ...given
}: MadeStudy): Findings {
  const seeds = Array.from({ length: n }, (_, i) => i + 1);
  const trials = rows.map(
    (row, i) =>
      new Map(seeds.map((seed) => [seed, trialOf(row, { seed, index: i, message, primary })])),
  );
  const complete = trials.every((bySeed) => [...bySeed.values()].every(Boolean));
  const metrics = [
    findingsOf(rows, trials, complete, { name: primary, direction: 'max' }),
    findingsOf(rows, trials, complete, { name: 'loss', direction: 'min' }),
  ];
  return {
    name: 'Distillation, step by step',
    backend,
    seeds,
    split: 'validation',
    complete,
    tries: 0,
    tuning: [],
    manifest: { plugins: {}, inline: [], portable: true, hash: 'abc' },
    environments: [],
    contrasts: [],
    smallestEffects: {},
    readings: [],
    ...given,
    rows: rows.map((row, i) => ({
      row: plannedRow(row, i, seeds),
      trials: trials[i]!,
      metrics: metrics.map((byRow) => byRow[i]!),
      costs: costsOf(trials[i]!, trials[0]!, metrics[0]![i]!),
    })),
  };
}

function plannedRow(
  { name, kind = 'row', epochs = EPOCHS, diff = [], sets = [] }: MadeRow,
  i: number,
  seeds: readonly number[],
): RecordedRow {
  return {
    name,
    kind: i === 0 ? ('base' as const) : kind,
    sets,
    diff,
    budget: { epochs, batchSize: 64, accumulate: 1 },
    data,
    modules: [],
    hash: `hash of ${name}`,
    definition: name,
    trials: seeds.map((seed) => ({ id: `${name}/${seed}`, seed, data })),
  };
}

interface MadeTrial {
  readonly seed: number;
  readonly index: number;
  readonly message: string;
  readonly primary: string;
}

function trialOf(row: MadeRow, made: MadeTrial): TrialRecord | undefined {
  const { seed, index, message, primary } = made;
  if (row.pending?.includes(seed)) return undefined;
  const record = {
    id: `${row.name}/${seed}`,
    row: row.name,
    seed,
    kind: 'main' as const,
    sets: row.sets ?? [],
    budget: { epochs: row.epochs ?? EPOCHS, batchSize: 64, accumulate: 1 },
    data,
    backend,
    attempts: 1,
    ended: '2026-01-02T03:04:05.000Z',
  };
  if (row.failed?.includes(seed)) {
    return { ...record, attempts: 3, failure: { code: 'study/crashed', message } };
  }
  const { gain = 0, exact = false, epochs = EPOCHS, cost = 1 } = row;
  const common = keyedRng('made', 'seed', seed)() - 0.5;
  const own = keyedRng('made', exact ? 'base' : row.name, seed)() - 0.5;
  const accuracy = 0.84 + gain + 0.02 * common + 0.008 * own;
  const pace = exact ? 3 : 3 - 0.25 * Math.min(index, 4);
  const at = (epoch: number) => accuracy - 0.5 * Math.exp(-epoch / pace);
  const metrics = (value: number) => ({ [primary]: value, loss: 1.5 * (1 - value) });
  const history = Array.from({ length: epochs }, (_, i) => ({
    epoch: i + 1,
    metrics: { loss: 1 - at(i + 1), [`val/${primary}`]: at(i + 1) },
  }));
  return {
    ...record,
    result: {
      metrics: metrics(at(epochs)),
      history,
      cost: {
        seconds: (18 + common) * cost,
        cpuSeconds: (19 + common) * cost,
        peakMemory: 3.1e8 * (1 + 0.1 * (cost - 1)),
        modelBytes: 272_360,
        macs: 1.29e6,
      },
    },
  };
}

type Trials = RowFindings['trials'];

function findingsOf(
  rows: readonly MadeRow[],
  trials: readonly Trials[],
  complete: boolean,
  metric: MetricFinding['metric'],
): readonly MetricFinding[] {
  const values = trials.map(
    (bySeed) =>
      new Map(
        [...bySeed].map(([seed, trial]) => {
          const value = trial && 'result' in trial ? trial.result.metrics[metric.name] : null;
          return [seed, value ?? null];
        }),
      ),
  );
  const compared = rows.map((row, i): Comparison => {
    if (i === 0) return { kind: 'base' };
    if (!complete) return { kind: 'refused', reasons: ['the study is not finished'] };
    const missing = [...values[i]!].filter(([, value]) => value === null);
    if (missing.length > 0) {
      const seeds = missing.map(([seed]) => seed).join(', ');
      const reason = `'${row.name}' has no value for seeds ${seeds} (study/crashed)`;
      return { kind: 'refused', reasons: [reason] };
    }
    const known = [values[i]!, values[0]!].map((each) => [...each.values()] as number[]);
    const difference = pairedDifference(known[0]!, known[1]!);
    return {
      kind: 'paired',
      difference,
      corrected: null,
      better: metric.direction === 'max' ? 'higher' : 'lower',
    };
  });
  const p = compared.flatMap((each) => (each.kind === 'paired' ? [each.difference.p ?? 1] : []));
  const adjusted = [...holm(p)];
  return rows.map((_, i) => {
    const known = [...values[i]!.values()].filter((value) => value !== null);
    const comparison = compared[i]!;
    return {
      metric,
      values: values[i]!,
      validation: values[i]!,
      summary: known.length === 0 ? null : summary(known),
      comparison:
        comparison.kind === 'paired' && comparison.difference.p !== null
          ? { ...comparison, corrected: adjusted.shift()! }
          : comparison,
    };
  });
}

function costsOf(trials: Trials, base: Trials, { comparison }: MetricFinding): CostFinding[] {
  const names = ['seconds', 'cpuSeconds', 'peakMemory', 'modelBytes', 'macs'] as const;
  return names.map((cost) => {
    const [own, against] = [meanCost(trials, cost), meanCost(base, cost)];
    const added = own !== null && against !== null ? own - against : 0;
    return {
      cost,
      mean: own,
      ratio: own === null || !against ? null : own / against,
      effect: comparison.kind === 'paired' && added > 0 ? comparison.difference.mean / added : null,
    };
  });
}

function meanCost(trials: Trials, cost: keyof TrialCost): number | null {
  const values = [...trials.values()].flatMap((trial) =>
    trial && 'result' in trial ? [trial.result.cost[cost] ?? 0] : [],
  );
  return values.length === 0 ? null : summary(values).mean;
}

/** Five rows of ten seeds, with whatever makes a report long. */
export const ablation: MadeStudy = {
  tries: 8,
  split: 'test',
  readings: [{ at: '2026-01-03T10:20:30.000Z', trials: 50, of: 'a' }],
  rows: [
    { name: 'base' },
    {
      name: 'label smoothing',
      gain: 0.004,
      cost: 1.003,
      sets: ['plugins.label-smoothing={"use":"@espalier/label-smoothing"}'],
      diff: ["plugin 'label-smoothing' was added"],
    },
    {
      name: 'deeply supervised',
      gain: 0.013,
      cost: 1.31,
      sets: ['preset="deeply-supervised"'],
      diff: ["plugin 'exits' was added", "plugin 'deep-supervision' was added"],
    },
    {
      name: 'BYOT + label smoothing + hints from the deepest exit to every other one: weight 0.01',
      gain: 0.019,
      cost: 1.44,
      sets: ['preset="byot"', 'plugins.label-smoothing.options.epsilon=0.05'],
      diff: [
        "plugin 'byot': options.temperature was 1 (default), is 3 (override)",
        'plugin \'byot\': options.hints was absent, is {"from":"deepest","weight":0.01} (override)',
        "plugin 'exits' was added",
      ],
    },
    {
      name: 'base, as long as BYOT',
      kind: 'equal-compute',
      epochs: 18,
      gain: 0.006,
      cost: 1.46,
      sets: ['epochs=18'],
      diff: ['epochs was 12, is 18'],
    },
  ],
};
