import { definePlugin, disposeRaw, matches, OUTER_START } from '@espalier/core';
import type { Batch, NamedTensors, PluginContext, StepContext } from '@espalier/core';
import type { Scalar } from '@tensorflow/tfjs-core';
import type { z } from 'zod';
import { findEstimator } from './estimators/estimator-option.js';
import { ESTIMATOR, getService, OUTER_READINESS, SOURCE } from './get-service.js';
import { chooseInner } from './inner-optimizer.js';
import type { MeasuresData } from './measures.js';
import { bilevelOptions } from './options.js';
import { OuterData, START } from './outer-data.js';
import type { Position } from './outer-data.js';
import { chooseOuter } from './outer-optimizer.js';
import { OuterSchedule } from './outer-schedule.js';
import { OuterStep } from './outer-step.js';
import type { OuterCounts, OuterMethod } from './outer-step.js';
import { refuseUnmatched } from './outer-terms.js';
import { runProblem, splitParameters } from './run-problem.js';
import { BILEVEL, HYPERGRADIENT, OUTER_DATA } from './tokens.js';

/** What a checkpoint holds beside tensors. */
interface Saved extends OuterCounts {
  readonly data: Position | undefined;
  /** The step before which outer steps began. */
  readonly begun: number | null;
  readonly epoch: MeasuresData;
  readonly pushWeight: number;
}

/**
 * Trains some of the run's parameters φ (`variables`) to lower an outer loss after a virtual step of
 * the others: before an optimizer step, φ ← φ − β·d outer(θ − η∇_θ L(θ, φ))/dφ, L being the whole loss
 * of the run on the step's own batch, the outer loss some terms of it, at weights of its own, on the next batch or
 * on held-out data. The step itself then follows with the new φ. Where a plugin has an optimizer of its own for φ
 * (`ctx.optimizeWith`), the outer steps are steps of that one; else of Adam, or of what is bound, and the run's own
 * optimizer moves φ too where a term of the loss gives it a gradient.
 *
 * In the metrics of an epoch, under the plugin's id: `outer` and `norm` (means of the outer loss after the
 * virtual step and of the norm of the hypergradient as found), `loss-norm` (of the gradient that the loss gives φ), `outer-before`, `outer-after` and `outer-start` (the outer loss of the epoch's
 * first outer step with φ before and after it and with φ₀, on the same batches), `change` (‖φ − φ₀‖/‖φ₀‖ since outer steps began).
 *
 * Services: `BILEVEL`; takes `HYPERGRADIENT`, `OUTER_DATA`, `INNER_OPTIMIZER` and `OUTER_OPTIMIZER` where
 * they are bound, and waits for `OUTER_START` where it is. Without `OUTER_DATA` the last step of an epoch has no
 * next batch: an outer step due then comes one step later. A `session.step` without `next` has none, and φ stays.
 *
 * @throws EspalierError in the first step: `bilevel/variables`, `bilevel/loss`, `bilevel/binding`,
 * `bilevel/two-optimizers`, `bilevel/inner-rate`, `bilevel/inner-optimizer`, `optim/split`; in the first outer step:
 * `bilevel/no-gradient`, `bilevel/second-order`, `bilevel/outer-data`; `bilevel/not-finite` after
 * `patience` hypergradients in a row that are not finite, `bilevel/zero` and `bilevel/no-loss-gradient` likewise. When saving:
 * `bilevel/outer-optimizer`; when loading: `bilevel/slots`.
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
  effects: { weights: 'modify', gradients: 'add' },
  apply(ctx, options) {
    const { variables, loss } = options;
    const seed = Math.floor(ctx.random('outer-data')() * 2 ** 31);
    const schedule = new OuterSchedule(options);
    const outer = new OuterStep(options.patience);
    const { measures, push } = outer;
    const split = () => splitParameters(ctx, variables);
    const chooseVirtual = () => chooseInner(ctx, options, Object.keys(split().theta));
    const method = lazily(() => chooseMethod(ctx, options, Object.keys(split().phi)));
    const check = lazily((microBatches: readonly Batch[]) => {
      method();
      chooseVirtual();
      refuseUnmatched(loss, listTerms(ctx, microBatches[0]!));
      return true;
    });
    let data: OuterData | undefined;
    const openData = () => (data ??= new OuterData(getService(ctx, OUTER_DATA, SOURCE)!, seed));

    if (!ctx.has(OUTER_DATA)) ctx.lookAhead();
    ctx.provide(BILEVEL, () => outer.progress);

    const step = async (microBatches: readonly Batch[], batch: Batch) => {
      const optimizer = chooseVirtual();
      const waits = options.share !== undefined && !push.known && schedule.begun === ctx.clock.step;
      if (!optimizer || waits) return;
      const problem = runProblem(ctx, { variables, microBatches, outer: batch, loss, optimizer });
      await outer.run(problem, method(), ctx);
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
    ctx.hooks.beforeStep.tap(async (context) => {
      check(context.microBatches); // so that it is refused before anything is trained
      const ready = isReady(ctx);
      if (schedule.begins(context.clock.step, ready)) {
        measures.begin(split().phi);
        push.reset(); // the loss may push otherwise from here on
      }
      if (ready) await (ctx.has(OUTER_DATA) ? stepOnOuterData(context) : stepOnNext(context));
    });
    let pushing: NamedTensors = {};
    ctx.hooks.gradients.tap((gradients) => {
      const own = Object.entries(gradients).filter(([path]) => matches(variables, path));
      pushing = Object.fromEntries(own);
      return gradients;
    });
    // Not before: a step that is refused pushes nothing, and what came before outer steps does not count.
    ctx.hooks.afterApply.tap(() => {
      if (schedule.begun !== undefined) push.add(pushing);
    });
    ctx.hooks.epochEnd.tap(async ({ metric }) => {
      const numbers = Object.entries(await measures.close(split().phi));
      numbers.forEach(([name, value]) => metric(`${ctx.id}/${name}`, value));
    });
    ctx.hooks.structureChange.tap((change) => {
      const { phi } = split();
      const lost = change.dropped.filter((path) => matches(variables, path));
      if (lost.length > 0) ctx.warn(`outer variables are gone: ${lost.join(', ')}`);
      measures.follow(change);
      method().optimizer.follow(phi);
    });
    ctx.hooks.finish.tap(({ status }) => {
      if (status !== 'completed' || outer.attempts > 0 || schedule.hasWarned) return;
      ctx.warn(isReady(ctx) ? NEVER_DUE : NOT_READY);
    });
    ctx.keepState({
      version: 2,
      save: () => {
        const begun = outer.counts.steps > 0;
        if (begun) method().optimizer.refuseUnresumable();
        const json: Saved = {
          ...outer.counts,
          ...{ data: data?.position, begun: schedule.begun ?? null },
          ...{ epoch: measures.data, pushWeight: push.weight },
        };
        const slots = begun ? method().optimizer.saved : {};
        const tensors = { ...prefix('slot ', slots), ...prefix('start ', measures.start) };
        return { json, tensors: { ...tensors, ...(push.square && { push: push.square }) } };
      },
      load: ({ json, tensors = {} }) => {
        const { data: position, begun, epoch, pushWeight, ...counts } = json as Saved;
        method().optimizer.restore(counts.steps, strip('slot ', tensors), split().phi);
        outer.restore(counts);
        schedule.begun = begun ?? undefined;
        measures.restore(epoch, begun === null ? undefined : strip('start ', tensors));
        push.restore(tensors['push'] as Scalar | undefined, pushWeight);
        if (ctx.has(OUTER_DATA)) openData().moveTo(position ?? START);
      },
    });
    ctx.onTeardown(async () => {
      measures.dispose();
      push.reset();
      method.made?.optimizer.dispose();
      await data?.close();
    });
  },
});

const NO_NEXT_BATCH =
  "an outer step is due, but there is no next batch (the last step of an epoch, or a session.step without 'next') and none was done yet: where this is always so, bind 'outer-data' or change interval";
const NOT_READY =
  "the fit is over without an outer step: what is bound to 'outer-start' never said that they may begin. Shorten the warm-up, or train for longer";

const NEVER_DUE =
  'the fit is over without an outer step: none was due at a step with a next batch and a learning rate above 0. Lower warmup or interval, or train for longer';

/** What is bound to the tokens, or what the options name. */
function chooseMethod(
  ctx: Pick<PluginContext, 'has' | 'get' | 'assign' | 'optimizerOf' | 'random'>,
  options: z.output<typeof bilevelOptions>,
  phi: readonly string[],
): OuterMethod {
  const bound = getService(ctx, HYPERGRADIENT, ESTIMATOR);
  return {
    estimate: bound ?? findEstimator(options.estimator),
    optimizer: chooseOuter(ctx, phi, options),
    drawSign: () => drawSign(ctx, options.control),
    share: options.share === undefined ? undefined : options.share * options.interval,
  };
}

function drawSign(
  ctx: Pick<PluginContext, 'random'>,
  control: z.output<typeof bilevelOptions>['control'],
): number {
  if (control === undefined) return 1;
  return control === 'negated' || ctx.random('control')() < 0.5 ? -1 : 1;
}

/** Whether outer steps may be made, as far as others have a say. */
function isReady(ctx: Pick<PluginContext, 'has' | 'get'>): boolean {
  return getService(ctx, OUTER_START, OUTER_READINESS)?.ready ?? true;
}

/** Names of the terms of the run's loss: one forward pass. */
function listTerms(ctx: Pick<PluginContext, 'objective'>, batch: Batch): readonly string[] {
  const names: string[] = [];
  const note = ({ name }: { readonly name: string }) => {
    names.push(name);
    return false;
  };
  ctx.objective(batch, { terms: note }).dispose();
  return names;
}

function prefix(start: string, tensors: NamedTensors): NamedTensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [start + name, tensor]),
  );
}

function strip(start: string, tensors: NamedTensors): NamedTensors {
  const own = Object.entries(tensors).filter(([name]) => name.startsWith(start));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(start.length), tensor]));
}

/** Made when it is first asked for; what fails is tried again. */
function lazily<A extends readonly unknown[], T>(make: (...given: A) => T) {
  const get = (...given: A): T => (get.made ??= make(...given));
  get.made = undefined as T | undefined;
  return get;
}
