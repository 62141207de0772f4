import { keyedRng } from '@espalier/core';

/** Median and spread of one contender, in milliseconds. */
export interface Timing {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** A number worth reporting, against its target. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The largest value that is good enough; none: the figure is for information. */
  readonly target?: number;
  /** Median [min–max] of what it was computed from. */
  readonly spread?: string;
}

/** What is asked of a bench. */
export interface BenchOptions {
  /** Fewer rounds, for a look in passing; takes effect where a bench is long. */
  readonly quick: boolean;
}

/** Something to time: once per round, after one call that is not counted. */
export type Contender = () => unknown | Promise<unknown>;

/**
 * Times contenders in turn, round after round, so that a machine that slows down slows them all.
 * `repeat` calls make one measurement, by `clock`.
 */
export async function timeInTurn<K extends string>(
  contenders: Readonly<Record<K, Contender>>,
  { rounds = 7, repeat = 1, clock = (): number => performance.now() } = {},
): Promise<Record<K, Timing>> {
  const names = Object.keys(contenders) as K[];
  const samples = new Map(names.map((name) => [name, [] as number[]]));
  for (const name of names) await contenders[name]();
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      const start = clock();
      for (let i = 0; i < repeat; i++) await contenders[name]();
      samples.get(name)!.push((clock() - start) / repeat);
    }
  }
  return Object.fromEntries(names.map((name) => [name, timingOf(samples.get(name)!)])) as Record<
    K,
    Timing
  >;
}

/** CPU time of this process in milliseconds: while others have the processor it stands still. */
export function cpuClock(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/**
 * The median over rounds of `more` − `less`, each round one call of every contender: differences
 * far smaller than the calls' own spread need pairs. The order is drawn anew each round, since what
 * ran before leaves its data in the caches. Milliseconds, with the quartiles.
 */
export async function pairedDifferences<K extends string>(
  contenders: Readonly<Record<K, Contender>>,
  pairs: readonly (readonly [more: K, less: K])[],
  rounds: number,
): Promise<readonly { readonly median: number; readonly quartiles: readonly [number, number] }[]> {
  const names = Object.keys(contenders) as K[];
  const seen = pairs.map(() => [] as number[]);
  for (let round = -WARM_UP; round < rounds; round++) {
    const times = {} as Record<K, number>;
    for (const i of keyedRng(round + WARM_UP, 'order').permutation(names.length)) {
      const name = names[i]!;
      const start = performance.now();
      await contenders[name]();
      times[name] = performance.now() - start;
    }
    if (round >= 0) pairs.forEach(([more, less], i) => seen[i]!.push(times[more] - times[less]));
  }
  return seen.map((differences) => {
    const sorted = differences.sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]!;
    return { median: at(0.5), quartiles: [at(0.25), at(0.75)] as const };
  });
}

/** What one contender takes over what the other takes, the median over rounds. */
export interface Ratio<K extends string> {
  readonly median: number;
  readonly quartiles: readonly [number, number];
  /** Median of each contender, in milliseconds. */
  readonly of: Readonly<Record<K, number>>;
}

/**
 * The first contender against the second, a ratio for each round: what slows the machine down slows both. They
 * change places each round. By each of the clocks.
 */
export async function pairedRatios<K extends string>(
  contenders: Readonly<Record<K, Contender>>,
  rounds: number,
  clocks: readonly (() => number)[],
): Promise<readonly Ratio<K>[]> {
  const names = Object.keys(contenders) as [K, K];
  const seen = clocks.map(() => [] as Record<K, number>[]);
  for (let round = -2; round < rounds; round++) {
    const taken = clocks.map(() => ({}) as Record<K, number>);
    for (const name of round % 2 === 0 ? names : [...names].reverse()) {
      const start = clocks.map((clock) => clock());
      await contenders[name]();
      clocks.forEach((clock, i) => (taken[i]![name] = clock() - start[i]!));
    }
    if (round >= 0) taken.forEach((times, i) => seen[i]!.push(times));
  }
  return seen.map((times) => ratioOf(times, names));
}

function ratioOf<K extends string>(times: readonly Record<K, number>[], names: [K, K]): Ratio<K> {
  const [first, second] = names;
  const sorted = times.map((each) => each[first] / each[second]).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]!;
  const medianOf = (name: K) => timingOf(times.map((each) => each[name])).median;
  return {
    median: at(0.5),
    quartiles: [at(0.25), at(0.75)],
    of: Object.fromEntries(names.map((name) => [name, medianOf(name)])) as Record<K, number>,
  };
}

/** Rounds before the first that counts: V8 optimizes what has run often. */
const WARM_UP = 200;

/** Median and range of some samples, in milliseconds. */
export function timingOf(samples: readonly number[]): Timing {
  const sorted = [...samples].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1]!, min: sorted[0]!, max: sorted[sorted.length - 1]! };
}

/** The ratio of two medians, with both spreads. */
export function ratio(
  name: string,
  numerator: Timing,
  denominator: Timing,
  target?: number,
): Figure {
  const value = numerator.median / denominator.median;
  const spread = `${show(numerator)} / ${show(denominator)} ms`;
  return { name, value, unit: '×', spread, ...(target !== undefined && { target }) };
}

function show({ median, min, max }: Timing): string {
  return `${round(median)} [${round(min)}–${round(max)}]`;
}

/** Three significant digits. */
export function round(value: number): string {
  return String(Number(value.toPrecision(3)));
}
