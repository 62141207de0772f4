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
import type { Exits, LossContext, Term } from '@espalier/core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { softDivergence, squaredDistance } from './divergence.js';

/**
 * Distils soft targets into exits: for each exit i that has one, the loss becomes
 * (1 − α)·CE_i + α·τ²·KL(q_i ‖ p_i), and with a hint β > 0 also + β·‖f_i − f_K‖² for every auxiliary
 * exit (BYOT, eq. 4). Who makes the targets is another plugin's business (`SOFT_TARGETS`): the
 * deepest exit, a teacher, a generator. f_K is detached: hints move the students only.
 *
 * Terms: `exit-distillation/<exit>` (value τ²·KL, weight α), `exit-distillation/<exit>/hint`.
 *
 * @throws EspalierError at setup: `exit-distillation/no-classes`; in the first step: `services/missing`,
 * `exit-distillation/…`.
 * @example
 * const plugins = [multiExit(), deepestExit(), exitDistillation({ alpha: 0.3 })];
 */
export const exitDistillation = definePlugin({
  id: 'exit-distillation',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-multi-exit#exitDistillation',
  options: z.strictObject({
    alpha: z.number().min(0).max(1).default(0.1),
    temperature: z.number().positive().default(3),
    hint: z.number().nonnegative().default(0),
  }),
  effects: { loss: 'add', 'loss:multi-exit/*': 'modify', 'loss:task/*': 'modify' },
  // The hard terms that it scales must be there already.
  order: { after: ['multi-exit'], optional: ['multi-exit'] },
  stateless: true,
  apply(ctx, { alpha, temperature, hint }) {
    const outputs = Object.keys(ctx.losses);
    // Which exits are taught is known in the first step only.
    if (!outputs.some((output) => isClassifier(ctx, output))) checkClassifier(ctx, outputs[0]!);
    const checked = new Set<string>();
    ctx.needs(SOFT_TARGETS);
    if (hint !== 0) [FEATURE_MAPS, EXITS].forEach((token) => ctx.needs(token));
    ctx.hooks.loss.tap((context) => {
      const { outputs, terms, mean } = context;
      const targets = ctx.get(SOFT_TARGETS).logits(context);
      const labelTerms = ctx.has(EXITS) ? ctx.get(EXITS).terms : undefined;
      for (const [exit, teacher] of Object.entries(targets)) {
        if (exit in ctx.losses && !checked.has(exit)) checkClassifier(ctx, exit);
        checked.add(exit);
        const student = findStudent(exit, teacher, outputs);
        terms.scale(findLabelTerm(exit, context, labelTerms).name, 1 - alpha);
        const value = mean(softDivergence(teacher, student, temperature));
        terms.add(exit, value, { weight: alpha });
      }
      if (hint === 0) return;
      const features = ctx.get(FEATURE_MAPS).features(context);
      const names = ctx.get(EXITS).names;
      const deepest = stopGradient(features[names.at(-1)!]!);
      for (const exit of names.slice(0, -1)) {
        checkHint(exit, features[exit]!, deepest);
        const value = mean(squaredDistance(features[exit]!, deepest));
        terms.add(`${exit}/hint`, value, { weight: hint });
      }
    });
  },
});

function findStudent(exit: string, teacher: Tensor2D, outputs: LossContext['outputs']): Tensor2D {
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
