import { EspalierError } from '@espalier/core';
import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { outerAfterSteps } from '../estimators/unroll.js';
import type { BilevelProblem } from '../problem.js';
import { mapTensors } from '../tensor-math.js';

/** Derivatives along directions by differences of the outer loss, and what is known of their errors. */
export interface Differences {
  readonly step: number;
  readonly derivatives: readonly Derivative[];
}

/** One derivative, and an estimate of its error. */
export interface Derivative {
  readonly value: number;
  readonly error: number;
}

/** Steps to choose from: 2, 1, 1/2, … 2^-12. */
const EXPONENTS = Array.from({ length: 14 }, (_, i) => 1 - i);

/** Directions by which the step is chosen for all. */
const SAMPLE = 6;

/** Below the step of the smallest error so far, the search ends where the error has grown so many times. */
const GROWN = 8;

/** How many times the median change rounding makes of half a jump. */
const JUMP_NOISE = 3;

/** Half of the distance from one float32 to the next, by their size. */
const HALF_ULP = 2 ** -24;

/**
 * The derivatives at the step of the smallest estimated error, or at a given one. Each is Richardson's
 * extrapolation of central differences at the step and at twice the step. Its error is estimated from three
 * things: its distance to the same at twice the step (truncation, rounding, kinks within the steps), half of
 * the jump from the slope behind to the slope ahead as far as it stands out of the former (a kink nearer than
 * any step, of which central differences of all steps see the mean), and the rounding of the outer loss itself.
 */
export async function differences(
  problem: BilevelProblem,
  along: readonly NamedTensors[],
  given?: number,
): Promise<Differences> {
  const origin = await outerLoss(problem);
  const lines = along.map((each) => new Line(problem, each, origin));
  const step = given ?? (await chooseStep(lines.slice(0, SAMPLE)));
  return { step, derivatives: estimateErrors(await slopesAt(lines, step)) };
}

/**
 * By root mean square over the lines, so that no lucky coincidence on one of them decides. Jumps do not count:
 * those nearer than any step are the same at all steps.
 */
async function chooseStep(lines: readonly Line[]): Promise<number> {
  let best = { step: NaN, error: Infinity };
  for (const step of EXPONENTS.map((exponent) => 2 ** exponent)) {
    const slopes = await slopesAt(lines, step);
    const error = Math.hypot(...slopes.flatMap(({ change, rounding }) => [change, rounding]));
    if (error < best.error) best = { step, error };
    if (error > GROWN * best.error) break;
  }
  return best.step;
}

async function slopesAt(lines: readonly Line[], step: number): Promise<readonly Slope[]> {
  const slopes: Slope[] = [];
  for (const line of lines) slopes.push(await line.slope(step));
  return slopes;
}

function estimateErrors(slopes: readonly Slope[]): readonly Derivative[] {
  const noise = JUMP_NOISE * median(slopes.map(({ change }) => Math.abs(change)));
  return slopes.map(({ value, change, jump, rounding }) => {
    const error = Math.hypot(change, rounding, Math.max(0, Math.abs(jump) / 2 - noise));
    return { value, error: Number.isFinite(error) ? error : Infinity };
  });
}

/** Of those that are numbers. */
function median(values: readonly number[]): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}

/** The outer loss along a direction in φ; each value is computed once. */
class Line {
  readonly #pairs = new Map<number, Promise<Pair>>();

  constructor(
    private readonly problem: BilevelProblem,
    private readonly along: NamedTensors,
    private readonly origin: number,
  ) {}

  async slope(step: number): Promise<Slope> {
    const near = await this.#pair(step);
    const middle = await this.#pair(2 * step);
    const far = await this.#pair(4 * step);
    const value = extrapolate(near.slope, middle.slope);
    return {
      value,
      change: value - extrapolate(middle.slope, far.slope),
      jump: 2 * near.bend - middle.bend,
      rounding: (2 * HALF_ULP * Math.abs(this.origin)) / step,
    };
  }

  #pair(step: number): Promise<Pair> {
    const known = this.#pairs.get(step) ?? this.#measure(step);
    this.#pairs.set(step, known);
    return known;
  }

  async #measure(step: number): Promise<Pair> {
    const [ahead, behind] = [await this.#at(step), await this.#at(-step)];
    return {
      slope: (ahead - behind) / (2 * step),
      bend: (ahead - 2 * this.origin + behind) / step,
    };
  }

  async #at(distance: number): Promise<number> {
    const phi = tf.tidy(() =>
      mapTensors(this.problem.phi, (each, name) =>
        tf.add(each, tf.mul(this.along[name]!, distance)),
      ),
    );
    try {
      return await outerLoss({ ...this.problem, phi });
    } finally {
      tf.dispose(phi);
    }
  }
}

/** A derivative and what tells of its error. */
interface Slope {
  readonly value: number;
  /** From the derivative at twice the step. */
  readonly change: number;
  /** From the slope behind to the slope ahead, near the origin. */
  readonly jump: number;
  /** What rounding of the outer loss alone can do. */
  readonly rounding: number;
}

/** What the values ahead and behind tell. */
interface Pair {
  /** The central difference. */
  readonly slope: number;
  /** The slope ahead less the slope behind. */
  readonly bend: number;
}

/** Richardson 1911: two differences of second order to one of fourth. */
const extrapolate = (near: number, far: number) => (4 * near - far) / 3;

/** How much the outer loss of one problem may differ between two evaluations, of its size. */
const ROUNDING = 1e-5;

/** @throws EspalierError `bilevel/not-finite`, `bilevel/not-repeatable`. */
export async function checkRepeatable(problem: BilevelProblem): Promise<void> {
  const [a, b] = [await outerLoss(problem), await outerLoss(problem)];
  if (!Number.isFinite(a + b)) {
    throw new EspalierError('bilevel/not-finite', {
      problem: 'the outer loss after the inner steps is not finite',
      received: a,
      fix: 'Lower the rate of the inner optimizer, or look at the losses at the start.',
    });
  }
  if (Math.abs(a - b) <= ROUNDING * (Math.abs(a) + Math.abs(b))) return;
  throw new EspalierError('bilevel/not-repeatable', {
    problem: 'two evaluations of the outer loss at the same variables differ',
    received: [a, b],
    fix: 'Draw what is random once, outside of inner and outer, or from a stream made anew in each call.',
  });
}

async function outerLoss(problem: BilevelProblem): Promise<number> {
  const value = tf.tidy(() => outerAfterSteps(problem));
  const [number] = await value.data();
  value.dispose();
  return number!;
}
