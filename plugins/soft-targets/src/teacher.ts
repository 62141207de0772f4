import {
  createToken,
  definePlugin,
  EspalierError,
  SOFT_TARGETS,
  stopGradient,
} from '@espalier/core';
import type { NamedTensors, SoftTargets } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { listTaughtExits, taughtExits } from './list-taught-exits.js';
import { TeacherModel } from './teacher-model.js';
import type { MakeTeacher, Predict } from './teacher-model.js';

/** A trained model that teaches, or a function that gives logits: one of the two. */
export interface Teacher {
  /** Makes or loads the model. It is disposed with the run, unless it existed before the call. */
  model?(): ReturnType<MakeTeacher>;
  /** Logits `[batch, classes]` for inputs by the names of the student's inputs. Synchronous. */
  predict?(inputs: NamedTensors): Tensor2D;
}

/** Who teaches, where `teacher` is not told by its options: so a preset can name it as data. */
export const TEACHER = createToken<Teacher>('teacher');

const aFunction = (value: unknown) => typeof value === 'function';

/**
 * Another model teaches (knowledge distillation, Hinton et al. 2015): provides `SOFT_TARGETS` with its
 * logits `[batch, classes]` for the batch's inputs as augmented, detached. It runs for inference
 * (moving statistics, no dropout), and is neither trained nor exported nor checkpointed. Its inputs
 * are matched to the student's by name, else by position.
 *
 * The teacher is given by the option `model` or `predict`, or bound to the token {@link TEACHER}. One
 * that is bound is made when first needed: a model that loads asynchronously is there from the first
 * step on.
 *
 * @throws EspalierError `services/missing`, `teacher/…`.
 * @example
 * const plugins = [teacher({ model: () => loadLayersModel(url) }), exitDistillation({ alpha: 0.9 })];
 */
export const teacher = definePlugin({
  id: 'teacher',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-soft-targets#teacher',
  options: z
    .strictObject({
      model: z.custom<MakeTeacher>(aFunction, 'must be a function').optional(),
      predict: z.custom<Predict>(aFunction, 'must be a function').optional(),
      output: z.string().optional(),
      exits: taughtExits,
    })
    .refine(({ model, predict }) => !(model && predict), 'give model or predict, not both'),
  stateless: true,
  async apply(ctx, { model, predict, output, exits }) {
    const told = model !== undefined || predict !== undefined;
    if (!told) ctx.needs(TEACHER);
    const source = (): Teacher =>
      told ? ({ model, predict } as Teacher) : checkTeacher(ctx.get(TEACHER));
    const network = new TeacherModel(() => source().model!(), {
      studentInputs: ctx.model.inputNames,
      output,
    });
    ctx.onTeardown(() => network.dispose());
    if (model) await network.load();
    if (!told) ctx.hooks.beforeStep.tap(() => (source().predict ? undefined : network.load()));
    ctx.provide(SOFT_TARGETS, (): SoftTargets => {
      const names = listTaughtExits(ctx, exits);
      const given = source();
      const ask: Predict = (inputs) =>
        given.predict ? given.predict(inputs) : network.predict(inputs);
      return {
        name: 'teacher',
        get ready() {
          return given.predict !== undefined || network.isLoaded;
        },
        logits({ batch, outputs }) {
          const made = ask(batch.inputs);
          if (!(made instanceof tf.Tensor)) throw noLogits(made);
          const logits = stopGradient(made) as Tensor2D;
          names.forEach((exit) => checkClasses(exit, outputs[exit]!.shape, logits));
          return Object.fromEntries(names.map((name) => [name, logits]));
        },
      };
    });
  },
});

/** A `LayersModel` has a predict, too, but no teacher's. */
function checkTeacher(given: unknown): Teacher {
  const { model, predict, inputs } = (given ?? {}) as Teacher & { readonly inputs?: unknown };
  if ((aFunction(model) || aFunction(predict)) && inputs === undefined) return given as Teacher;
  throw new EspalierError('teacher/nothing', {
    problem: "what is bound to 'teacher' has neither a function model nor predict",
    received: given,
    fix: 'Bind a function that returns { model: () => loadLayersModel( … ) } or { predict }, at once.',
  });
}

function noLogits(received: unknown): EspalierError {
  return new EspalierError('teacher/predict', {
    problem: 'predict must return logits [batch, classes] as a tensor, at once',
    received,
    fix: 'Load whatever takes time before the session is created.',
  });
}

function checkClasses(exit: string, expected: readonly number[], logits: Tensor2D): void {
  if (String(expected) === String(logits.shape)) return;
  throw new EspalierError('teacher/classes', {
    problem: `the teacher must give logits [${expected.join(', ')}], as the exit '${exit}' does`,
    received: logits.shape,
    fix: 'Use a teacher of the same classes, one row per example.',
  });
}
