import {
  checkClassifier,
  isClassifier,
  definePlugin,
  EspalierError,
  EXITS,
  FEATURE_MAPS,
  SOFT_TARGETS,
  stopGradient,
  suggest,
} from '@espalier/core';
import type { EvaluateContext, Exits, LossContext, NamedTensors, Term } from '@espalier/core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { weightAt } from '../exits/exit-weights.js';
import { decoupledDivergence } from './decoupled-divergence.js';
import { softDivergence, squaredDistance } from './divergence.js';
import { measureTargets } from './measure-targets.js';
import { exitDistillationOptions } from './options.js';
import type { Divergence } from './options.js';
import { refuseSequences } from './refuse-sequences.js';
import { UNIFORM_EPOCHS, UniformWatch } from './uniform-watch.js';
import type { UniformWatchState } from './uniform-watch.js';

/**
 * Distils soft targets into exits: for each exit i that has one, the loss becomes
 * (1 − α)·CE_i + α·τ²·KL(q_i ‖ p_i), and with a hint β > 0 also + β·‖f_i − f_K‖² for every auxiliary
 * exit (BYOT, eq. 4). Who makes the targets is another plugin's business (`SOFT_TARGETS`): the
 * deepest exit, a teacher, a generator. f_K is detached: hints move the students only. `divergence` puts
 * that of decoupled knowledge distillation in place of KL.
 *
 * Terms: `exit-distillation/<exit>` (value τ²·KL, weight α), `exit-distillation/<exit>/hint`. Metrics of
 * steps, epochs and evaluations, whoever teaches ({@link measureTargets}): `targets/<exit>/accuracy`,
 * `…/entropy`, `…/confidence`, `…/divergence`, `…/from-uniform`. A run whose targets stay uniform is
 * warned of once.
 *
 * @throws EspalierError at setup: `exit-distillation/no-classes`, `exit-distillation/sequences`; in the first
 * step: `services/missing`, `exit-distillation/…`.
 * @example
 * const plugins = [multiExit(), deepestExit(), exitDistillation({ alpha: 0.3 })];
 */
export const exitDistillation = definePlugin({
  id: 'exit-distillation',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-multi-exit#exitDistillation',
  options: exitDistillationOptions,
  effects: { loss: 'add', 'loss:multi-exit/*': 'modify', 'loss:task/*': 'modify' },
  // The hard terms that it scales must be there already.
  order: { after: ['multi-exit'], optional: ['multi-exit'] },
  watches: ['epochEnd'],
  apply(ctx, { alpha, temperature, divergence, keepLabels, scaleLast, hint }) {
    const outputs = Object.keys(ctx.losses);
    // Which exits are taught is known in the first step only.
    if (!outputs.some((output) => isClassifier(ctx, output))) checkClassifier(ctx, outputs[0]!);
    refuseSequences(ctx.model);
    const prefix = prefixFor(ctx.id);
    const checked = new Set<string>();
    const checkOnce = (exit: string) => {
      if (exit in ctx.losses && !checked.has(exit)) checkClassifier(ctx, exit);
      checked.add(exit);
    };
    const findExits = () => (ctx.has(EXITS) ? ctx.get(EXITS) : undefined);
    ctx.needs(SOFT_TARGETS);
    if (hint !== 0) ctx.needs(FEATURE_MAPS);
    if (hint !== 0 || scaleLast) ctx.needs(EXITS);

    ctx.hooks.loss.tap((context) => {
      const { terms, mean, clock, nested, metric } = context;
      const share = weightAt(alpha, clock.epoch);
      const exits = findExits();
      const scaleLabels = (exit: string) => {
        const { name } = findLabelTerm(exit, context, exits?.terms);
        if (!keepLabels) terms.scale(name, 1 - share);
      };
      const targets = ctx.get(SOFT_TARGETS).logits(context);
      for (const [exit, teacher] of Object.entries(targets)) {
        checkOnce(exit);
        const student = findStudent(exit, teacher, context.outputs);
        scaleLabels(exit);
        const labels = findLabels(exit, context.targets, exits);
        const pair = { teacher, student, labels, temperature };
        terms.add(exit, mean(diverge(pair, divergence)), { weight: share });
        if (!nested) reportTargets(`${prefix}/${exit}`, pair, metric);
      }
      const last = exits?.names.at(-1);
      if (scaleLast && !(last! in targets)) scaleLabels(last!);
      if (hint !== 0)
        addHints(context, ctx.get(FEATURE_MAPS).features(context), exits!.names, hint);
    });
    ctx.hooks.evaluate.tap((context) => {
      const provider = ctx.get(SOFT_TARGETS);
      if (provider.ready === false) return;
      for (const [exit, teacher] of Object.entries(provider.logits(context))) {
        checkOnce(exit);
        const student = findStudent(exit, teacher, context.outputs);
        const labels = findLabels(exit, context.targets, findExits());
        reportTargets(
          `${prefix}/${exit}`,
          { teacher, student, labels, temperature },
          context.metric,
        );
      }
    });

    const watch = new UniformWatch();
    ctx.hooks.epochEnd.tap(({ metrics }) => {
      const { name, uniform } = ctx.get(SOFT_TARGETS);
      if (uniform) return;
      const found = Object.keys(ctx.model.outputShapes).flatMap((exit) => {
        const fromUniform = metrics[`${prefix}/${exit}/from-uniform`];
        if (fromUniform === undefined) return [];
        const classes = ctx.model.outputShapes[exit]!.at(-1)!;
        return [[exit, { fromUniform, classes, temperature }] as const];
      });
      const exits = watch.follow(Object.fromEntries(found));
      if (exits.length > 0) ctx.warn(describeUniform(name, exits));
    });
    ctx.keepState({
      version: 1,
      save: () => ({ json: watch.state }),
      load: ({ json }) => watch.restore(json as UniformWatchState),
    });
  },
});

interface Pair {
  readonly teacher: Tensor2D;
  readonly student: Tensor2D;
  readonly labels: Tensor;
  readonly temperature: number;
}

function diverge({ teacher, student, ...pair }: Pair, divergence: Divergence): Tensor1D {
  if (divergence === 'kl') return softDivergence(teacher, student, pair.temperature);
  const { target, nonTarget } = divergence;
  return decoupledDivergence(teacher, student, { ...pair, target, nonTarget });
}

/** What the metrics of an exit's targets begin with; that of a second instance has its id, too. */
const prefixFor = (id: string) => (id === 'exit-distillation' ? 'targets' : `targets/${id}`);

function reportTargets(
  prefix: string,
  { teacher, ...pair }: Pair,
  metric: EvaluateContext['metric'],
): void {
  const { fromUniform, ...measures } = measureTargets(stopGradient(teacher) as Tensor2D, {
    ...pair,
    student: stopGradient(pair.student) as Tensor2D,
  });
  const named = { ...measures, 'from-uniform': fromUniform };
  Object.entries(named).forEach(([name, values]) => metric(`${prefix}/${name}`, values));
}

function addHints(
  { terms, mean }: LossContext,
  features: NamedTensors,
  names: readonly string[],
  weight: number,
): void {
  const deepest = stopGradient(features[names.at(-1)!]!);
  for (const exit of names.slice(0, -1)) {
    checkHint(exit, features[exit]!, deepest);
    terms.add(`${exit}/hint`, mean(squaredDistance(features[exit]!, deepest)), { weight });
  }
}

function describeUniform(teacher: string, exits: readonly string[]): string {
  return `the soft targets of '${teacher}' for ${exits.map((exit) => `'${exit}'`).join(', ')} have said next to nothing for ${UNIFORM_EPOCHS} epochs in a row: they are as good as uniform (see the metrics targets/<exit>/from-uniform). Train the teacher for longer or with a larger learning rate, or lower the temperature. If uniform targets are what you want, use uniformTargets().`;
}

function findStudent(exit: string, teacher: Tensor2D, outputs: NamedTensors): Tensor2D {
  const student = outputs[exit];
  if (student && String(student.shape) === String(teacher.shape)) return student as Tensor2D;
  throw new EspalierError('exit-distillation/targets', {
    problem: student
      ? `the soft target of '${exit}' has another shape than its output [${student.shape.join(', ')}]`
      : `there is a soft target for '${exit}', but the model has no such output`,
    received: teacher.shape,
    fix: student ? 'Targets are logits [batch, classes].' : suggest(exit, Object.keys(outputs)),
  });
}

/** The labels of an exit: its own, or those of the last exit, which all exits learn. */
function findLabels(exit: string, targets: NamedTensors, exits: Exits | undefined): Tensor {
  const labels = targets[exit] ?? targets[exits?.names.at(-1) ?? exit];
  if (labels) return labels;
  throw new EspalierError('exit-distillation/no-labels', {
    problem: `there are no labels for '${exit}', so nothing can tell whether its soft targets are right`,
    received: Object.keys(targets),
    fix: 'Teach outputs that have labels, or the exits of multiExit().',
  });
}

/** The term by which labels train an exit: the one that `EXITS` names, or the task's own. */
function findLabelTerm(
  exit: string,
  { terms, targets }: LossContext,
  labelTerms: Exits['terms'] = {},
): Term {
  const alone = Object.keys(targets).length === 1 && exit in targets;
  const isTask = ({ name, owner }: Term) =>
    owner === 'task' && (alone || `${name}/`.startsWith(`task/${exit}/`));
  const named = labelTerms[exit];
  const term = terms.all.find((each) => (named ? each.name === named : isTask(each)));
  if (term) return term;
  throw new EspalierError('exit-distillation/no-hard-term', {
    problem: `no term of the loss trains '${exit}' with labels, so there is none to weigh against`,
    received: terms.all.map(({ name }) => name),
    fix: 'Add multiExit(), under its own id.',
  });
}

function checkHint(exit: string, student: Tensor, teacher: Tensor): void {
  if (String(student.shape) === String(teacher.shape)) return;
  throw new EspalierError('exit-distillation/hint', {
    problem: `a hint needs features of equal shape, but those of '${exit}' are [${student.shape.join(', ')}] and the last exit's [${teacher.shape.join(', ')}]`,
    fix: "Use multiExit({ branch: 'bottleneck' }) or 'separable', which end in the last stage's width, on a network that pools before its head; or set hint: 0.",
  });
}
