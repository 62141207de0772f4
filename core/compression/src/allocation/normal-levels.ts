/** Levels of a code for numbers with a standard normal distribution, and what they lose. */
export interface NormalLevels {
  /** `[2^bits]`, rising, symmetric around zero. */
  readonly levels: Float64Array;
  /** Mean squared error of a standard normal number at its nearest level. */
  readonly distortion: number;
}

const ROUNDING = 1e-15;
const STEPS = 5000; // some of Lloyd's first, then about five of Newton's

const known = new Map<number, NormalLevels>();

/**
 * The 2^bits levels of least mean squared error for a standard normal distribution.
 *
 * @param bits From 0, the level 0 alone, whose error is 1; up to about 12.
 * @see Max 1960, Quantizing for minimum distortion, IRE Transactions on Information Theory 6.
 * @example
 * const { levels, distortion } = normalLevels(2); // ±0.4528, ±1.5104; 0.1175
 */
export function normalLevels(bits: number): NormalLevels {
  const before = known.get(bits);
  if (before) return before;
  const found = bits === 0 ? NONE : mirror(findUpperHalf(2 ** (bits - 1)));
  known.set(bits, found);
  return found;
}

/** Mean squared errors of {@link normalLevels} at 0, 1, … `most` bits: `[most + 1]`. */
export function normalDistortions(most: number): readonly number[] {
  return Array.from({ length: most + 1 }, (_, bits) => normalLevels(bits).distortion);
}

const NONE: NormalLevels = { levels: Float64Array.of(0), distortion: 1 };

function mirror(upper: Float64Array): NormalLevels {
  const lower = upper.toReversed().map((level) => -level);
  return { levels: Float64Array.of(...lower, ...upper), distortion: computeError(upper) };
}

/**
 * Each level must be the mean of the numbers that are nearest to it. Newton's method on all of them; far from the
 * end, where it leads astray, a step of Lloyd's, which moves each to that mean.
 */
function findUpperHalf(count: number): Float64Array {
  let levels = startLevels(count);
  for (let step = 0; step < STEPS; step++) {
    const { masses, moments } = measure(levels);
    const newton = moveLevels(levels);
    const better = isRising(newton) && computeError(newton) <= computeError(levels) + ROUNDING;
    const next = better ? newton : moments.map((moment, i) => moment / masses[i]!);
    const change = Math.max(...next.map((level, i) => Math.abs(level - levels[i]!)));
    levels = next;
    if (change < 1e-11) break;
  }
  return levels;
}

function moveLevels(levels: Float64Array): Float64Array {
  const change = solveTridiagonal(linearize(levels));
  return levels.map((level, i) => level - change[i]!);
}

function isRising(levels: Float64Array): boolean {
  return levels.every((level, i) => level > (levels[i - 1] ?? 0));
}

/** Mean squared error, of both halves. */
function computeError(levels: Float64Array): number {
  const { masses, moments } = measure(levels);
  const kept = levels.map((level, i) => 2 * level * moments[i]! - level ** 2 * masses[i]!);
  return 1 - 2 * kept.reduce((a, b) => a + b, 0);
}

/** Levels as dense as the cube root of the distribution, which is best where they are many. */
function startLevels(count: number): Float64Array {
  const target = (i: number) => (i + 0.5) / count;
  return Float64Array.from({ length: count }, (_, i) => Math.sqrt(3) * invertHalfNormal(target(i)));
}

/** Where a half-normal distribution has a share of its mass below; by bisection, coarsely. */
function invertHalfNormal(share: number): number {
  let [low, high] = [0, 8];
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2;
    if (2 * massBetween(0, middle) < share) low = middle;
    else high = middle;
  }
  return low;
}

interface Tridiagonal {
  readonly lower: Float64Array;
  readonly middle: Float64Array;
  readonly upper: Float64Array;
  readonly right: Float64Array;
}

/** Bounds, mass and first moment of the numbers that are nearest to each of the positive levels. */
function measure(levels: Float64Array) {
  const end = levels.length - 1;
  const bounds = levels.map((level, i) => (i === 0 ? 0 : (levels[i - 1]! + level) / 2));
  const densities = bounds.map(density);
  const masses = levels.map((_, i) => (i < end ? massBetween(bounds[i]!, bounds[i + 1]!) : 0));
  masses[end] = massAbove(bounds[end]!);
  const moments = densities.map((each, i) => each - (i < end ? densities[i + 1]! : 0));
  return { bounds, densities, masses, moments };
}

/** The system of a Newton step: level · mass − moment = 0 for each level. */
function linearize(levels: Float64Array): Tridiagonal {
  const { bounds, densities, masses, moments } = measure(levels);
  const half = (i: number, level: number) => ((bounds[i]! - level) * densities[i]!) / 2;
  const lower = levels.map((level, i) => (i === 0 ? 0 : half(i, level)));
  const upper = levels.map((level, i) => (i + 1 === levels.length ? 0 : -half(i + 1, level)));
  return {
    lower,
    middle: masses.map((mass, i) => mass + lower[i]! + upper[i]!),
    upper,
    right: levels.map((level, i) => level * masses[i]! - moments[i]!),
  };
}

function solveTridiagonal({ lower, middle, upper, right }: Tridiagonal): Float64Array {
  const [pivots, values] = [Float64Array.from(middle), Float64Array.from(right)];
  for (let i = 1; i < pivots.length; i++) {
    const factor = lower[i]! / pivots[i - 1]!;
    pivots[i]! -= factor * upper[i - 1]!;
    values[i]! -= factor * values[i - 1]!;
  }
  for (let i = pivots.length - 1; i >= 0; i--) {
    const next = i + 1 < pivots.length ? upper[i]! * values[i + 1]! : 0;
    values[i] = (values[i]! - next) / pivots[i]!;
  }
  return values;
}

function density(x: number): number {
  return Math.exp(-(x ** 2) / 2) / Math.sqrt(2 * Math.PI);
}

/** Nodes and weights of Gauss and Legendre on −1…1, the positive ones of eight. */
const GAUSS: readonly (readonly [node: number, weight: number])[] = [
  [0.1834346424956498, 0.362683783378362],
  [0.525532409916329, 0.3137066458778873],
  [0.7966664774136267, 0.2223810344533745],
  [0.9602898564975363, 0.1012285362903763],
];

/** Mass of the standard normal distribution between two numbers. */
function massBetween(a: number, b: number): number {
  const pieces = Math.max(1, Math.ceil(b - a));
  const half = (b - a) / pieces / 2;
  let mass = 0;
  for (let piece = 0; piece < pieces; piece++) {
    const centre = a + (2 * piece + 1) * half;
    for (const [node, weight] of GAUSS) {
      mass += weight * half * (density(centre - node * half) + density(centre + node * half));
    }
  }
  return mass;
}

/** Mass of the standard normal distribution above a number that is not negative. */
function massAbove(x: number): number {
  if (x < 2) return 0.5 - massBetween(0, x);
  let fraction = x;
  for (let k = 60; k > 0; k--) fraction = x + k / fraction; // of Laplace
  return density(x) / fraction;
}
