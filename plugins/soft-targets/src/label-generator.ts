import {
  accuracy,
  adam,
  checkClassifier,
  crossEntropy,
  definePlugin,
  EXITS,
  OUTER_START,
  SOFT_TARGETS,
  stopGradient,
} from '@espalier/core';
import type { AuxiliaryOptions, Clock, ForwardResult, LossContext } from '@espalier/core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { findLevels } from './levels.js';
import type { Level } from './levels.js';
import { labelGeneratorOptions } from './options.js';
import { buildLabelPyramid, featuresName, headName } from './pyramid.js';
import { WarmUp } from './warm-up.js';
import type { Accuracies } from './warm-up.js';
import { warnOutsideEpochs } from './warn-outside-epochs.js';

/**
 * A network of its own makes the soft targets of the shallow exits from the features of the deeper
 * ones, fused from the top down (MetaDistiller, Liu et al. 2020): provides `SOFT_TARGETS` with logits
 * `[batch, classes]` for each exit but the last. The network is in the parameter group
 * `label-generator` and is never exported.
 *
 * The divergence that a student is trained by never trains the generator. What does is the
 * cross-entropy of its own logits with the labels (terms `label-generator/<exit>`, option `labelWeight`),
 * or a plugin that differentiates by the labels that it makes. Both go through one optimizer of its own,
 * Adam at `learningRate`, unless the run has an optimizer for the group `label-generator`. The temperature is
 * the consumer's.
 *
 * The labels may count for a warm-up only, or for less after it (`labelWeight`); it provides `OUTER_START`, so
 * that a plugin with an outer loss waits for its end. While it waits for better targets, it reports
 * `label-generator/<exit>/accuracy` and `label-generator/<exit>/exit-accuracy`.
 *
 * @throws EspalierError at setup: `services/missing`, `label-generator/…`.
 * @example
 * const plugins = [multiExit(), labelGenerator({ channels: 32 }), exitDistillation()];
 */
export const labelGenerator = definePlugin({
  id: 'label-generator',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-soft-targets#labelGenerator',
  options: labelGeneratorOptions,
  effects: { loss: 'add', 'structure:networks': 'add' },
  apply(ctx, { detach, learningRate, labelWeight, ...design }) {
    ctx.needs(EXITS);
    const optimizer = ctx.optimizeWith([`${ctx.id}:*`], adam({ learningRate }));
    let levels: readonly Level[] = [];
    const findOwnExit = () => ctx.get(EXITS).names.at(-1)!;
    const network = ctx.addNetwork(() => {
      checkClassifier(ctx, findOwnExit());
      levels = findLevels(ctx.model, ctx.get(EXITS));
      ctx.requestFeatures(levels.map(({ layer }) => layer));
      const classes = ctx.model.outputShapes[findOwnExit()]![1]!;
      return buildLabelPyramid(
        levels.map(({ shape }) => shape),
        classes,
        design,
      );
    });
    const logits = ({ features }: ForwardResult, options?: AuxiliaryOptions) => {
      const inputs = levels.map(({ layer }, i) => {
        const map = features[layer]!;
        return [featuresName(i), detach ? stopGradient(map) : map] as const;
      });
      const outputs = network.execute(Object.fromEntries(inputs), options);
      const taught = ctx.get(EXITS).names.slice(0, -1);
      return taught.map((exit, i) => [exit, outputs[headName(i)] as Tensor2D] as const);
    };
    ctx.provide(SOFT_TARGETS, () => ({
      name: 'label-generator',
      logits: (context) => Object.fromEntries(logits(context, { detach: true })),
    }));

    const warmUp = new WarmUp(labelWeight);
    ctx.provide(OUTER_START, () => ({
      get ready() {
        return warmUp.isOver(ctx.clock);
      },
    }));
    const { perExample } = crossEntropy();
    ctx.hooks.loss.tap((context) => {
      const { terms, mean, targets, clock, nested } = context;
      const weight = warmUp.weightAt(clock);
      if (weight === 0) return;
      const labels = targets[findOwnExit()]!;
      const compares = !nested && warmUp.judgesEpochs && !warmUp.isOver(clock);
      for (const [exit, generated] of logits(context)) {
        terms.add(exit, mean(perExample(generated, labels)), { weight });
        if (compares) reportAccuracies(`${ctx.id}/${exit}`, { exit, generated, labels }, context);
      }
    });
    // Sizes of the labels' gradients say nothing of those that another loss will give.
    const restartOnce = ({ clock }: { readonly clock: Clock }) => {
      if (warmUp.endsNow(clock) && warmUp.restarts) optimizer.restart();
    };
    ctx.hooks.epochStart.tap(restartOnce);
    ctx.hooks.afterStep.tap(restartOnce);
    warnOutsideEpochs(ctx, {
      lasts: (clock) => warmUp.countsEpochs && !warmUp.isOver(clock),
      effect: 'the warm-up ends with an epoch (labelWeight: { steps } ends it by steps)',
    });
    ctx.hooks.epochEnd.tap(({ clock, metrics }) => {
      if (!warmUp.judgesEpochs || warmUp.isOver(clock)) return;
      const judgement = warmUp.judge(clock, readAccuracies(ctx.id, ctx.get(EXITS).names, metrics));
      if (judgement === 'too long') ctx.warn(describeLate(warmUp.latest));
    });
    ctx.hooks.finish.tap(({ clock, status }) => {
      const isOpen = warmUp.hasRule && !warmUp.isOver(clock);
      if (status === 'completed' && isOpen) ctx.warn(describeOpen(clock.epoch));
    });
    ctx.keepState({
      version: 1,
      save: () => ({ json: warmUp.state }),
      load: ({ json }) => warmUp.restore(json as WarmUp['state']),
    });
  },
});

interface Judged {
  readonly exit: string;
  readonly generated: Tensor2D;
  readonly labels: Tensor;
}

function reportAccuracies(
  prefix: string,
  { exit, generated, labels }: Judged,
  { outputs, metric }: LossContext,
): void {
  metric(`${prefix}/accuracy`, accuracy(generated, labels));
  metric(`${prefix}/exit-accuracy`, accuracy(outputs[exit]!, labels));
}

function readAccuracies(
  id: string,
  exits: readonly string[],
  metrics: Readonly<Record<string, number>>,
): readonly Accuracies[] {
  return exits.flatMap((name) => {
    const targets = metrics[`${id}/${name}/accuracy`];
    if (targets === undefined) return [];
    return [{ targets, exit: metrics[`${id}/${name}/exit-accuracy`]! }];
  });
}

const describeLate = (epochs: number) =>
  `after ${epochs} epochs the warm-up ends, although the generator's targets are not right more often than every exit that they teach: see label-generator/<exit>/accuracy. Raise its learningRate, or let it last for longer: labelWeight.latest.`;

const describeOpen = (epoch: number) =>
  `the fit is over after ${epoch} epochs, and the warm-up of the generator is not: labels alone have trained it. Train for longer, or end it sooner: labelWeight.`;
