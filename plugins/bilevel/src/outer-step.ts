import { EspalierError } from '@espalier/core';
import type { PluginContext } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { runInnerFreely } from './estimators/inner-run.js';
import { checkHypergradient } from './get-service.js';
import { LossPush } from './loss-push.js';
import { Measures } from './measures.js';
import type { Comparison } from './measures.js';
import type { OuterOptimizer } from './outer-optimizer.js';
import type { BilevelProblem, Estimator, Hypergradient } from './problem.js';
import { dot } from './tensor-math.js';

/** How the outer optimization goes; the counts are saved with a checkpoint. */
export interface OuterCounts {
  /** Outer steps done. */
  readonly steps: number;
  /** Outer steps left out because a hypergradient was zero or not finite. */
  readonly skipped: number;
  /** The last ones of these, without a step in between. */
  readonly consecutiveSkips: number;
}

/** What estimates the hypergradient, and what makes a step of it. */
export interface OuterMethod {
  readonly estimate: Estimator;
  readonly optimizer: OuterOptimizer;
  /** Norm of a hypergradient, in norms of the loss's gradient of φ; absent: as it is found. */
  readonly share: number | undefined;
  /** What the hypergradient is multiplied by in the end: −1 or 1. */
  readonly drawSign: () => number;
}

/** What an outer step does to a run; a plugin's context is one. */
export type OuterHost = Pick<PluginContext, 'warn'> & {
  readonly clock: Pick<PluginContext['clock'], 'step'>;
};

const NO_PUSH =
  'the option share sets the size of the hypergradient by the gradient that the loss of the run gives the variables, and it has given them none since outer steps began';

/** Codes of estimators that fail by the state of the network, not by a mistake of the user's. */
const OF_THE_MOMENT: readonly string[] = ['bilevel/negative-curvature', 'bilevel/diverges'];

const NOT_FINITE = 'Lower innerLearningRate, or choose another estimator.';
const ZERO =
  "Check that the loss depends on the variables, and the outer loss on what it trains; 'first-order' sees no way through the inner gradient.";

/** Moves φ by one estimated hypergradient at a time, and counts how often that works. */
export class OuterStep {
  readonly measures = new Measures();
  readonly push = new LossPush();
  /** The outer loss after the last virtual inner step; NaN before the first. */
  readonly progress = { steps: 0, skipped: 0, consecutiveSkips: 0, outer: NaN };

  /** @param patience Unusable hypergradients in a row that end the run. */
  constructor(private readonly patience: number) {}

  /** Outer steps so far, skipped ones included. */
  get attempts(): number {
    return this.progress.steps + this.progress.skipped;
  }

  get counts(): OuterCounts {
    const { steps, skipped, consecutiveSkips } = this.progress;
    return { steps, skipped, consecutiveSkips };
  }

  /**
   * Estimates the hypergradient of `problem`, checks it, makes a step of the optimizer, and counts. Once per
   * epoch it compares the outer loss before and after.
   *
   * @throws EspalierError `bilevel/not-finite` and `bilevel/zero` where it is the `patience`-th hypergradient
   * in a row that is unusable; `bilevel/binding`.
   */
  async run(
    problem: BilevelProblem,
    { estimate, optimizer, share, drawSign }: OuterMethod,
    host: OuterHost,
  ): Promise<void> {
    if (share !== undefined && !this.push.known) return this.#skip(NO_PUSH, noPushError, host);
    const found = this.#estimate(problem, estimate, host);
    if (!found) return;
    try {
      const [value, square, pushed] = await readNumbers(found, this.push.square);
      this.progress.outer = value;
      if (!Number.isFinite(value + square + (share === undefined ? 0 : pushed!))) {
        return this.#refuse('bilevel/not-finite', 'not finite', NOT_FINITE, host);
      }
      if (square === 0) return this.#refuse('bilevel/zero', 'zero', ZERO, host);
      const norm = Math.sqrt(square);
      const lossNorm = pushed === undefined ? undefined : this.push.toNorm(pushed);
      const size = share === undefined ? 1 : (share * lossNorm!) / norm;
      optimizer.move(problem.phi, found.gradients, size * drawSign());
      this.progress.steps += 1;
      this.progress.consecutiveSkips = 0;
      const compared = await this.#compare(problem, value);
      this.measures.add({ outer: value, norm, lossNorm, compared });
    } finally {
      tf.dispose([found.outer, ...Object.values(found.gradients)]);
    }
  }

  #estimate(
    problem: BilevelProblem,
    estimate: Estimator,
    host: OuterHost,
  ): Hypergradient | undefined {
    try {
      return checkHypergradient(estimate(problem));
    } catch (error) {
      if (!(error instanceof EspalierError) || !OF_THE_MOMENT.includes(error.code)) throw error;
      this.#skip(error.message, () => error, host);
      return undefined;
    }
  }

  /** φ has moved, and `problem` holds the live one. */
  async #compare(problem: BilevelProblem, before: number): Promise<Comparison | undefined> {
    if (!this.measures.wantsComparison) return undefined;
    const phis = [problem.phi, { ...problem.phi, ...this.measures.start }];
    const outers = tf.tidy(() => tf.stack(phis.map((phi) => computeOuter({ ...problem, phi }))));
    const [after, start] = await outers.data();
    outers.dispose();
    return { before, after: after!, start: start! };
  }

  /** Goes on from the counts of a checkpoint. */
  restore(counts: OuterCounts): void {
    Object.assign(this.progress, counts, { outer: NaN });
  }

  #refuse(code: string, reason: string, fix: string, host: OuterHost): void {
    const { patience, progress } = this;
    const problem = `the hypergradient at step ${host.clock.step} is ${reason}`;
    const makeError = () =>
      new EspalierError(code, {
        problem: `${problem}, as were the ${patience - 1} before`,
        received: `outer loss ${progress.outer}`,
        fix: `${fix} The option patience says at how many in a row the run ends.`,
      });
    this.#skip(problem, makeError, host);
  }

  /** Leaves the outer step out; the last one in a row that is allowed ends the run. */
  #skip(problem: string, makeError: () => EspalierError, { warn }: OuterHost): void {
    const { progress, patience } = this;
    progress.skipped += 1;
    progress.consecutiveSkips += 1;
    const { consecutiveSkips: inRow } = progress;
    if (inRow >= patience) throw makeError();
    warn(`${problem}: outer step skipped (${inRow} in a row; the run ends at ${patience})`);
  }
}

/** The outer loss after the inner steps. */
function computeOuter(problem: BilevelProblem): tf.Scalar {
  return problem.outer(runInnerFreely(problem), problem.phi);
}

/** The outer loss, the sum of squares of the hypergradient, and a number more where there is one, in one read. */
async function readNumbers(
  { outer, gradients }: Hypergradient,
  more: tf.Scalar | undefined,
): Promise<[number, number, number | undefined]> {
  const packed = tf.tidy(() =>
    tf.stack([outer, dot(gradients, gradients), ...(more ? [more] : [])]),
  );
  const numbers = await packed.data();
  packed.dispose();
  return [...numbers] as [number, number, number | undefined];
}

function noPushError(): EspalierError {
  return new EspalierError('bilevel/no-loss-gradient', {
    problem: NO_PUSH,
    fix: 'Let a term of the loss train them, as labels train a generator in its warm-up and after it, or leave share out.',
  });
}
