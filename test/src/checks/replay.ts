import type { Session, Source } from '@espalier/core';
import { definePlugin, keyedRng } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import * as z from 'zod';
import { firstDifference, liveTensors, trainedValues, valuesOf, withSession } from '../compare.js';
import { demand } from '../fail.js';
import { openSession, trainSourceOf } from '../subject.js';
import type { Subject } from '../subject.js';

/**
 * Replay: the objective gives the same bits on the same batch, changes no parameter or statistic
 * and leaves no tensor; and nested evaluations before a step do not change training.
 */
export async function checkReplay(subject: Subject): Promise<void> {
  const train = trainSourceOf(subject);
  await withSession(openSession(subject), (session) => evaluateTwice(session, train));
  const plain = await withSession(openSession(subject), (session) => trainedValues(session, 1));
  const nested = await withSession(openNested(subject), (session) => trainedValues(session, 1));
  const differing = firstDifference(plain, nested);
  demand(
    differing === undefined,
    'replay',
    `evaluating the objective once more before each step changes training, first in '${differing}'; a targets or loss tap keeps state between evaluations`,
  );
}

async function evaluateTwice(session: Session, train: Source): Promise<void> {
  const stream = keyedRng(0, 'replay');
  for await (const raw of train.iterate({ epoch: 0, skip: 0, stream })) {
    const batch = await session.batch(raw, 'replay');
    const [before, tensors] = [valuesOf(session.parameters()), liveTensors()];
    const [first, second] = [session.objective(batch), session.objective(batch)];
    const same = Object.is(first.dataSync()[0], second.dataSync()[0]);
    first.dispose();
    second.dispose();
    demand(same, 'replay', 'the objective differs between two evaluations of one batch');
    demand(liveTensors() === tensors, 'replay', 'an evaluation of the objective leaves tensors');
    const moved = firstDifference(before, valuesOf(session.parameters()));
    demand(moved === undefined, 'replay', `an evaluation of the objective changed '${moved}'`);
    Object.values({ ...batch.inputs, ...batch.targets }).forEach((tensor) => tensor.dispose());
  }
}

/** A plugin that evaluates the objective and its gradients once more before every step. */
const extraEvaluation = definePlugin({
  id: 'testkit-extra-evaluation',
  version: '1.0.0',
  options: z.strictObject({}),
  stateless: true,
  apply(ctx) {
    ctx.hooks.beforeStep.tap(({ microBatches: window }) => {
      for (const batch of window) {
        ctx.objective(batch, { rng: 'fresh' }).dispose();
        const { total, values, gradients } = ctx.gradients(batch);
        tf.dispose([total, ...values, gradients]);
      }
    });
  },
});

function openNested(subject: Subject): Promise<Session> {
  const companions = () => [...(subject.companions?.() ?? []), extraEvaluation()];
  return openSession({ ...subject, companions });
}
