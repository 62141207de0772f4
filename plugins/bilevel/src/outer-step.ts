import { EspalierError } from '@espalier/core';
import type { GradientTransform, PluginContext } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { checkHypergradient } from './get-service.js';
import { OuterVariables } from './outer-variables.js';
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
  readonly optimizer: GradientTransform;
}

/** What an outer step does to a run; a plugin's context is one. */
export type OuterHost = Pick<PluginContext, 'assign' | 'warn'> & {
  readonly clock: Pick<PluginContext['clock'], 'step'>;
};

const NOT_FINITE = 'Lower innerLearningRate, or choose another estimator.';
const ZERO =
  "Check that the loss depends on the variables, and the outer loss on what it trains; 'first-order' sees no way through the inner gradient.";

/** Moves φ by one estimated hypergradient at a time, and counts how often that works. */
export class OuterStep {
  readonly variables = new OuterVariables();
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
   * Estimates the hypergradient of `problem`, checks it, assigns φ after a step of the optimizer, and counts.
   *
   * @throws EspalierError `bilevel/not-finite` and `bilevel/zero` where it is the `patience`-th hypergradient
   * in a row that is unusable; `bilevel/binding`.
   */
  async run(
    problem: BilevelProblem,
    { estimate, optimizer }: OuterMethod,
    host: OuterHost,
  ): Promise<void> {
    const found = checkHypergradient(estimate(problem));
    try {
      const [value, square] = await readNumbers(found);
      this.progress.outer = value;
      if (!Number.isFinite(value + square)) {
        return this.#skip('bilevel/not-finite', 'not finite', NOT_FINITE, host);
      }
      if (square === 0) return this.#skip('bilevel/zero', 'zero', ZERO, host);
      const next = this.variables.computeStep(problem.phi, found.gradients, optimizer);
      host.assign(next, { update: true });
      tf.dispose(next);
      Object.assign(this.progress, { steps: this.variables.steps, consecutiveSkips: 0 });
    } finally {
      tf.dispose([found.outer, ...Object.values(found.gradients)]);
    }
  }

  /** Goes on from the counts of a checkpoint. */
  restore(counts: OuterCounts): void {
    Object.assign(this.progress, counts, { outer: NaN });
  }

  #skip(code: string, reason: string, fix: string, { clock, warn }: OuterHost): void {
    const { progress, patience } = this;
    progress.skipped += 1;
    progress.consecutiveSkips += 1;
    const problem = `the hypergradient at step ${clock.step} is ${reason}`;
    if (progress.consecutiveSkips < patience) {
      warn(
        `${problem}: outer step skipped (${progress.consecutiveSkips} in a row; the run ends at ${patience})`,
      );
      return;
    }
    throw new EspalierError(code, {
      problem: `${problem}, as were the ${patience - 1} before`,
      received: `outer loss ${progress.outer}`,
      fix: `${fix} The option patience says at how many in a row the run ends.`,
    });
  }
}

/** The outer loss, and the sum of squares of the hypergradient, in one read. */
async function readNumbers({ outer, gradients }: Hypergradient): Promise<[number, number]> {
  const packed = tf.tidy(() => tf.stack([outer, dot(gradients, gradients)]));
  const numbers = await packed.data();
  packed.dispose();
  return [...numbers] as [number, number];
}
