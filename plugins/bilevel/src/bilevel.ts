import {
  adam,
  chain,
  clipByGlobalNorm,
  definePlugin,
  disposeRaw,
  EspalierError,
  matches,
  sgd,
} from '@espalier/core';
import type { Batch, GradientTransform, PluginContext, StepContext } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { z } from 'zod';
import { findEstimator } from './estimators/estimator-option.js';
import { ESTIMATOR, getService, INNER_TRANSFORM, SOURCE, TRANSFORM } from './get-service.js';
import { bilevelOptions } from './options.js';
import { OuterData, START } from './outer-data.js';
import type { Position } from './outer-data.js';
import { OuterSchedule } from './outer-schedule.js';
import { OuterStep } from './outer-step.js';
import type { OuterCounts, OuterMethod } from './outer-step.js';
import type { BilevelProblem } from './problem.js';
import { runProblem, splitParameters } from './run-problem.js';
import { BILEVEL, HYPERGRADIENT, INNER_OPTIMIZER, OUTER_DATA, OUTER_OPTIMIZER } from './tokens.js';

/** What a checkpoint holds beside the optimizer's tensors. */
interface Saved extends OuterCounts {
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
 * comes one step later. A `session.step` without `next` has none, and φ stays.
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
    const { variables, loss } = options;
    const seed = Math.floor(ctx.random('outer-data')() * 2 ** 31);
    const schedule = new OuterSchedule(options);
    const outer = new OuterStep(options.patience);
    const method = lazily(() => chooseMethod(ctx, options));
    let data: OuterData | undefined;
    const openData = () => (data ??= new OuterData(getService(ctx, OUTER_DATA, SOURCE)!, seed));

    if (!ctx.has(OUTER_DATA)) ctx.lookAhead();
    ctx.provide(BILEVEL, () => outer.progress);

    const step = (microBatches: readonly Batch[], batch: Batch) => {
      const { inner: optimizer, ...rest } = method();
      const problem = runProblem(ctx, { variables, microBatches, outer: batch, loss, optimizer });
      return outer.run(problem, rest, ctx);
    };
    const stepOnNext = async ({ microBatches, next, clock }: StepContext) => {
      if (!schedule.isDueWithNext(clock)) return;
      if (next) await step(microBatches, next);
      else if (schedule.miss(clock, outer.attempts)) ctx.warn(NO_NEXT_BATCH);
    };
    const stepOnOuterData = async ({ microBatches, clock }: StepContext) => {
      const source = openData();
      if (!schedule.isDue(clock.step)) return;
      const key = `outer ${outer.attempts}`;
      const raw = await source.next();
      try {
        await step(microBatches, await ctx.batch(raw, key));
      } finally {
        disposeRaw(raw);
      }
    };
    ctx.hooks.beforeStep.tap((context) => {
      method(); // so that what is bound is refused before anything is trained with it
      return ctx.has(OUTER_DATA) ? stepOnOuterData(context) : stepOnNext(context);
    });
    ctx.hooks.structureChange.tap(({ dropped }) => {
      const { phi } = splitParameters(ctx, variables);
      const lost = dropped.filter((path) => matches(variables, path));
      if (lost.length > 0) ctx.warn(`outer variables are gone: ${lost.join(', ')}`);
      tf.tidy(() => outer.variables.follow(method().optimizer.init(phi)));
    });
    ctx.keepState({
      version: 1,
      save: () => {
        if (outer.counts.steps > 0) refuseUnresumable(method().optimizer);
        const json = { ...outer.counts, data: data?.position };
        return { json, tensors: outer.variables.saved };
      },
      load: ({ json, tensors = {} }) => {
        const { data: position, ...counts } = json as Saved;
        const { phi } = splitParameters(ctx, variables);
        const fresh = () => method().optimizer.init(phi);
        tf.tidy(() => outer.variables.restore(counts.steps, tensors, fresh()));
        outer.restore(counts);
        if (ctx.has(OUTER_DATA)) openData().moveTo(position ?? START);
      },
    });
    ctx.onTeardown(async () => {
      outer.variables.dispose();
      await data?.close();
    });
  },
});

const NO_NEXT_BATCH =
  "an outer step is due, but there is no next batch (the last step of an epoch, or a session.step without 'next') and none was done yet: where this is always so, bind 'outer-data' or change interval";

/** What is bound to the tokens, or what the options name. */
function chooseMethod(
  ctx: Pick<PluginContext, 'has' | 'get'>,
  { estimator, innerLearningRate, learningRate, clip }: z.output<typeof bilevelOptions>,
): OuterMethod & { readonly inner: BilevelProblem['optimizer'] } {
  const optimizer = getService(ctx, OUTER_OPTIMIZER, TRANSFORM) ?? adam({ learningRate });
  return {
    estimate: getService(ctx, HYPERGRADIENT, ESTIMATOR) ?? findEstimator(estimator),
    inner:
      getService(ctx, INNER_OPTIMIZER, INNER_TRANSFORM) ?? sgd({ learningRate: innerLearningRate }),
    optimizer: clip === undefined ? optimizer : chain(clipByGlobalNorm(clip), optimizer),
  };
}

function refuseUnresumable({ name, resumable }: GradientTransform): void {
  if (resumable !== false) return;
  throw new EspalierError('bilevel/outer-optimizer', {
    problem: `the outer optimizer '${name}' keeps state that no checkpoint can hold`,
    fix: 'Use one of the framework (sgd, adam, …), or train without checkpoints.',
  });
}

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
