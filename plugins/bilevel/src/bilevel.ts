import {
  adam,
  chain,
  clipByGlobalNorm,
  definePlugin,
  disposeRaw,
  EspalierError,
  sgd,
} from '@espalier/core';
import type { Batch, GradientTransform } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import {
  getService,
  checkHypergradient,
  ESTIMATOR,
  INNER_TRANSFORM,
  SOURCE,
  TRANSFORM,
} from './get-service.js';
import { matches } from './matches.js';
import { bilevelOptions } from './options.js';
import { OuterData, START } from './outer-data.js';
import type { Position } from './outer-data.js';
import { OuterVariables } from './outer-variables.js';
import type { Hypergradient } from './problem.js';
import { runProblem, splitParameters } from './run-problem.js';
import { dot } from './tensor-math.js';
import { BILEVEL, HYPERGRADIENT, INNER_OPTIMIZER, OUTER_DATA, OUTER_OPTIMIZER } from './tokens.js';
import { ESTIMATORS } from './verify.js';

/** What a checkpoint holds beside the slots. */
interface Saved {
  readonly steps: number;
  readonly skipped: number;
  readonly inRow: number;
  readonly data: Position | undefined;
}

/**
 * Trains some of the run's parameters φ (`variables`) to lower an outer loss after a virtual step of
 * the others: before an optimizer step, φ ← φ − β·d outer(θ − η∇_θ L(θ, φ))/dφ, L being the whole loss
 * of the run on the step's own batch, the outer loss some terms of it on the next batch or on held-out
 * data. The step itself then follows with the new φ. The run's own optimizer moves φ too where a term
 * of the loss gives it a gradient.
 *
 * Services: `BILEVEL`; takes `HYPERGRADIENT`, `OUTER_DATA`, `INNER_OPTIMIZER` and `OUTER_OPTIMIZER` where
 * they are bound. Without `OUTER_DATA` the last step of an epoch has no next batch: an outer step due then
 * comes one step later. No `session.step` has one, and φ stays.
 *
 * @throws EspalierError in the first outer step: `bilevel/variables`, `bilevel/loss`,
 * `bilevel/no-gradient`, `bilevel/second-order`; `bilevel/outer-data`; `bilevel/not-finite` after
 * `patience` hypergradients in a row that are not finite, `bilevel/zero` likewise. In the first step:
 * `bilevel/binding`. When saving: `bilevel/outer-optimizer`; when loading: `bilevel/slots`.
 * @example
 * const plugins = [
 *   multiExit(), labelGenerator(), exitDistillation(),
 *   bilevel({ variables: ['label-generator:*'], loss: ['task/*', 'multi-exit/*'], interval: 4 }),
 * ];
 */
export const bilevel = definePlugin({
  id: 'bilevel',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-bilevel#bilevel',
  options: bilevelOptions,
  effects: { weights: 'modify' },
  apply(ctx, options) {
    const { variables, loss, interval, warmup, clip, patience } = options;
    const seed = Math.floor(ctx.random('outer-data')() * 2 ** 31);
    const outer = new OuterVariables();
    const progress = { steps: 0, skipped: 0, inRow: 0, outer: NaN };
    let data: OuterData | undefined;
    let missed = false;

    if (!ctx.has(OUTER_DATA)) ctx.lookAhead();
    ctx.provide(BILEVEL, () => progress);
    const parts = lazily(() => {
      const { estimator, innerLearningRate, learningRate } = options;
      const optimizer = getService(ctx, OUTER_OPTIMIZER, TRANSFORM) ?? adam({ learningRate });
      return {
        estimate: getService(ctx, HYPERGRADIENT, ESTIMATOR) ?? ESTIMATORS[estimator],
        inner:
          getService(ctx, INNER_OPTIMIZER, INNER_TRANSFORM) ??
          sgd({ learningRate: innerLearningRate }),
        optimizer: clip === undefined ? optimizer : chain(clipByGlobalNorm(clip), optimizer),
      };
    });
    const openData = () => (data ??= new OuterData(getService(ctx, OUTER_DATA, SOURCE)!, seed));
    const isDue = (step: number) => step >= warmup && (step - warmup) % interval === 0;

    ctx.hooks.beforeStep.tap(async ({ microBatches: window, next, clock }) => {
      parts(); // so that what is bound is refused before anything is trained with it
      if (!ctx.has(OUTER_DATA)) {
        // What was due in the last step of an epoch, which has no next batch.
        const late = clock.batchesInEpoch === 0 && isDue(clock.step - 1);
        if (!late && !isDue(clock.step)) return;
        if (next) return outerStep(window, next);
        const again = missed || clock.batchesInEpoch === 0;
        missed = true;
        if (again && progress.steps + progress.skipped === 0) warnOfNone();
        return;
      }
      openData();
      if (!isDue(clock.step)) return;
      const key = `outer ${progress.steps + progress.skipped}`;
      const raw = await openData().next();
      try {
        await outerStep(window, await ctx.batch(raw, key));
      } finally {
        disposeRaw(raw);
      }
    });

    const warnOfNone = lazily(() =>
      ctx.warn(
        "an outer step is due, but there is no next batch (the last step of an epoch, or session.step) and none was done yet: where this is always so, bind 'outer-data' or change interval",
      ),
    );

    async function outerStep(window: readonly Batch[], batch: Batch): Promise<void> {
      const { estimate, inner, optimizer } = parts();
      const problem = runProblem(ctx, { variables, window, outer: batch, loss, optimizer: inner });
      const found = checkHypergradient(estimate(problem));
      try {
        const [value, square] = await readNumbers(found);
        progress.outer = value;
        if (!Number.isFinite(value + square))
          return skip('bilevel/not-finite', 'not finite', NOT_FINITE);
        if (square === 0) return skip('bilevel/zero', 'zero', ZERO);
        const moved = outer.computeStep(problem.phi, found.gradients, optimizer);
        ctx.assign(moved, { update: true });
        tf.dispose(moved);
        Object.assign(progress, { steps: outer.steps, inRow: 0 });
      } finally {
        tf.dispose([found.outer, ...Object.values(found.gradients)]);
      }
    }

    function skip(code: string, what: string, fix: string): void {
      progress.skipped += 1;
      progress.inRow += 1;
      const { inRow } = progress;
      const problem = `the hypergradient at step ${ctx.clock.step} is ${what}`;
      if (inRow < patience) {
        ctx.warn(`${problem}: outer step skipped (${inRow} in a row; the run ends at ${patience})`);
        return;
      }
      throw new EspalierError(code, {
        problem: `${problem}, as were the ${patience - 1} before`,
        received: `outer loss ${progress.outer}`,
        fix: `${fix} The option patience says at how many in a row the run ends.`,
      });
    }

    ctx.hooks.structureChange.tap(({ dropped }) => {
      const { phi } = splitParameters(ctx, variables);
      const lost = dropped.filter((path) => matches(variables, path));
      if (lost.length > 0) ctx.warn(`outer variables are gone: ${lost.join(', ')}`);
      tf.tidy(() => outer.follow(parts().optimizer.init(phi)));
    });
    ctx.keepState({
      version: 1,
      save: () => {
        const { steps, skipped, inRow } = progress;
        if (steps > 0) refuseUnresumable(parts().optimizer);
        return { json: { steps, skipped, inRow, data: data?.position }, tensors: outer.saved };
      },
      load: ({ json, tensors = {} }) => {
        const { data: position, ...counts } = json as Saved;
        const { phi } = splitParameters(ctx, variables);
        tf.tidy(() => outer.restore(counts.steps, tensors, parts().optimizer.init(phi)));
        Object.assign(progress, counts, { outer: NaN });
        if (ctx.has(OUTER_DATA)) openData().moveTo(position ?? START);
      },
    });
    ctx.onTeardown(async () => {
      outer.dispose();
      await data?.close();
    });
  },
});

const NOT_FINITE = 'Lower innerLearningRate, or choose another estimator.';
const ZERO =
  "Check that the loss depends on the variables, and the outer loss on what it trains; 'first-order' sees no way through the inner gradient.";

function refuseUnresumable({ name, resumable }: GradientTransform): void {
  if (resumable !== false) return;
  throw new EspalierError('bilevel/outer-optimizer', {
    problem: `the outer optimizer '${name}' keeps state that no checkpoint can hold`,
    fix: 'Use one of the framework (sgd, adam, …), or train without checkpoints.',
  });
}

/** The outer loss, and the sum of squares of the hypergradient, in one read. */
async function readNumbers({ outer, gradients }: Hypergradient): Promise<[number, number]> {
  const packed = tf.tidy(() => tf.stack([outer, dot(gradients, gradients)]));
  const [value, square] = await packed.data();
  packed.dispose();
  return [value!, square!];
}

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
