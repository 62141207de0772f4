import { EspalierError } from '@espalier/base';
import type { RawBatch } from '@espalier/data';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar } from '@tensorflow/tfjs-core';
import { HOOKS } from '../hooks/hooks.js';
import type { HookName } from '../hooks/hooks.js';
import type { Run } from '../run.js';

/** A tap that a way of training never calls. */
export interface UnfiredTap {
  readonly plugin: string;
  readonly hook: HookName;
}

/**
 * The loss of a run as an optimizer of the caller's differentiates it. Each differentiation is one step of
 * the run's clock, each call in it a micro-batch.
 */
export class OuterLoss {
  /** Tapes of differentiations that called it. */
  readonly #tapes = new WeakSet<object>();
  #checked = false;

  constructor(private readonly run: Run) {}

  /**
   * The loss on a batch. Outside of a differentiation, and within another evaluation, it is a value only:
   * nothing moves.
   *
   * @throws EspalierError `session/unfired`, `session/constraints`, and what batches are refused for.
   */
  evaluate(raw: RawBatch): Scalar {
    const { batches, clock, objective } = this.run;
    this.#check();
    const tape = findTape();
    if (!tape || objective.draws) return objective.evaluate(batches.readNow(raw));
    if (this.#tapes.has(tape)) clock.reopenStep();
    const loss = objective.evaluateForTraining(batches.readNow(raw));
    this.#tapes.add(tape);
    clock.advance(1, { inEpoch: false });
    this.run.isTrainedOutside = true;
    return loss;
  }

  #check(): void {
    if (this.#checked) return;
    const [unfired] = listUnfired(this.run);
    if (unfired) throw unfiredError(unfired);
    const { settings, structure } = this.run;
    const [constrained] = structure.parameters.constrained;
    if (constrained !== undefined && settings.semantics === 'espalier')
      throw constraintError(constrained);
    this.#checked = true;
  }
}

/** Taps that `session.loss` never calls: those of epochs, of steps and of the update. */
export function listUnfired({ taps }: Run): readonly UnfiredTap[] {
  const hooks = (Object.keys(HOOKS) as HookName[]).filter((hook) =>
    UNFIRED.includes(HOOKS[hook].phase),
  );
  return hooks.flatMap((hook) => taps.listTaps(hook).map(({ plugin }) => ({ plugin, hook })));
}

const UNFIRED: readonly string[] = ['epoch', 'step', 'apply'];

/** The tape of the differentiation under way. */
function findTape(): object | undefined {
  const { gradientDepth, activeTape } = tf.engine().state;
  return gradientDepth > 0 ? activeTape : undefined;
}

function unfiredError({ plugin, hook }: UnfiredTap): EspalierError {
  return new EspalierError('session/unfired', {
    problem: `plugin '${plugin}' taps '${hook}', which session.loss never fires: the plugin would do nothing, or half of it`,
    fix: 'Train by session.step(batch), which fires every hook, or leave the plugin out.',
  });
}

function constraintError(path: string): EspalierError {
  return new EspalierError('session/constraints', {
    problem: `parameter '${path}' has a constraint, and an optimizer of your own does not apply it after session.loss`,
    fix: "Train by session.step(batch), or, as in LayersModel.fit, without constraints: semantics: 'tfjs'.",
  });
}
