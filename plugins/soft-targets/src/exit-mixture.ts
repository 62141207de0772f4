import {
  adam,
  checkClassifier,
  crossEntropy,
  definePlugin,
  EXITS,
  SOFT_TARGETS,
  stopGradient,
} from '@espalier/core';
import type { AuxiliaryOptions, ForwardResult } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { buildMixtures, memberName, mixtureName } from './mixture.js';

/**
 * Exits teach each other by learned mixtures of them (after multi-exit self-distillation with appropriate
 * teachers, MATE, Sun et al. 2024): each taught exit has a primary teacher that mixes the logits of all
 * members by trained weights of its own, and learns mainly from that one, also from those of the others.
 * Provides `SOFT_TARGETS` with logits `[batch, classes]`; they send no gradient to members or weights.
 *
 * The abstract of the paper says no more. How the weights are trained is ours: each mixture lowers its
 * cross-entropy with the labels plus `gap` times its divergence from the exit that it teaches, terms
 * `exit-mixture/<exit>`, by Adam of its own. So is that mixing is linear in the logits. The learned shares
 * are numbers of the epoch: `exit-mixture/<exit>/<member>`.
 *
 * @throws EspalierError at setup: `services/missing`, `exit-mixture/no-classes`.
 * @example
 * const plugins = [multiExit(), exitMixture(), exitDistillation({ alpha: 0.3 })];
 */
export const exitMixture = definePlugin({
  id: 'exit-mixture',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-soft-targets#exitMixture',
  options: z.strictObject({
    members: z.enum(['all', 'deeper']).default('all'),
    primary: z.number().min(0).max(1).default(0.8),
    gap: z.number().nonnegative().default(0.1),
    learningRate: z.number().positive().default(0.01),
  }),
  effects: { loss: 'add', 'structure:networks': 'add' },
  stateless: true,
  apply(ctx, { members, primary, gap, learningRate }) {
    ctx.needs(EXITS);
    ctx.optimizeWith([`${ctx.id}:*`], adam({ learningRate }));
    const listExits = () => ctx.get(EXITS).names;
    const listTaught = () => (members === 'all' ? listExits() : listExits().slice(0, -1));
    const listMembers = (i: number) =>
      [...listExits().keys()].filter((k) => members === 'all' || k > i);
    const network = ctx.addNetwork(() => {
      const own = listExits().at(-1)!;
      checkClassifier(ctx, own);
      const classes = ctx.model.outputShapes[own]![1]!;
      const mixtures = listTaught().map((_, i) => listMembers(i));
      return buildMixtures(listExits().length, classes, mixtures);
    });
    const mix = ({ outputs }: Pick<ForwardResult, 'outputs'>, options?: AuxiliaryOptions) => {
      const inputs = listExits().map(
        (exit, i) => [memberName(i), stopGradient(outputs[exit]!)] as const,
      );
      const mixed = network.execute(Object.fromEntries(inputs), options);
      return listTaught().map((exit, i) => [exit, mixed[mixtureName(i)] as Tensor2D] as const);
    };
    ctx.provide(SOFT_TARGETS, () => ({
      name: 'exit-mixture',
      logits(context) {
        const mixed = mix(context, { detach: true });
        const all = mixed.map(([, logits]) => logits);
        return Object.fromEntries(mixed.map(([exit], i) => [exit, favour(all, i, primary)]));
      },
    }));

    const { perExample } = crossEntropy();
    ctx.hooks.loss.tap((context) => {
      const { outputs, targets, terms, mean } = context;
      const labels = targets[listExits().at(-1)!]!;
      for (const [exit, logits] of mix(context)) {
        const distance = diverge(logits, stopGradient(outputs[exit]!) as Tensor2D);
        const value = tf.add(perExample(logits, labels), tf.mul(distance, gap)) as Tensor1D;
        terms.add(exit, mean(value));
      }
    });
    ctx.hooks.epochEnd.tap(async ({ metric }) => {
      const parameters = ctx.parameters();
      for (const [i, exit] of listTaught().entries()) {
        const shares = await readShares(parameters[`${ctx.id}:${mixtureName(i)}/weights`]!);
        listMembers(i).forEach((k, at) => {
          metric(`${ctx.id}/${exit}/${listExits()[k]!}`, shares[at]!);
        });
      }
    });
  },
});

/** Teacher `i` by the share `primary`, all others alike by the rest. */
function favour(teachers: readonly Tensor2D[], i: number, primary: number): Tensor2D {
  if (teachers.length === 1) return teachers[0]!;
  const rest = (1 - primary) / (teachers.length - 1);
  const scaled = teachers.map((each, k) => tf.mul<Tensor2D>(each, k === i ? primary : rest));
  return tf.addN(scaled);
}

/** KL(softmax(teacher) ‖ softmax(student)) of each example. */
function diverge(teacher: Tensor2D, student: Tensor2D): Tensor1D {
  const [logQ, logP] = [tf.logSoftmax(teacher), tf.logSoftmax(student)];
  return tf.sum(tf.mul(tf.exp(logQ), tf.sub(logQ, logP)), -1);
}

async function readShares(weights: tf.Tensor): Promise<Float32Array> {
  const shares = tf.tidy(() => tf.softmax(weights));
  const values = (await shares.data()) as Float32Array;
  shares.dispose();
  return values;
}
