import { EspalierError } from '@espalier/base';
import type { RawBatch } from '@espalier/data';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar } from '@tensorflow/tfjs-core';
import { HOOKS } from '../hooks/hooks.js';
import type { HookName } from '../hooks/hooks.js';
import { declaresKind } from '../plugins/effects.js';
import type { Run } from '../run.js';

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
    this.check();
    const tape = findTape();
    if (!tape || objective.draws) return objective.evaluate(batches.readNow(raw));
    if (this.#tapes.has(tape)) clock.reopenStep();
    const loss = objective.evaluateForTraining(batches.readNow(raw));
    this.#tapes.add(tape);
    clock.advance(1, { inEpoch: false });
    this.run.isTrainedOutside = true;
    return loss;
  }

  /**
   * Refuses what a loop on this loss cannot do.
   *
   * @throws EspalierError `session/unfired`, `session/constraints`.
   */
  check(): void {
    if (this.#checked) return;
    refuseUnfired(this.run);
    const { settings, structure } = this.run;
    const [constrained] = structure.parameters.constrained;
    if (constrained !== undefined && settings.semantics === 'espalier')
      throw constraintError(constrained);
    this.#checked = true;
  }
}

/**
 * Hooks of epochs, of steps and of the update never fire, no update is scaled, and no optimizer of a plugin makes
 * a step: a plugin that needs them, and not only watches, would do nothing, or half.
 */
function refuseUnfired({ optimizer, order, taps }: Run): void {
  const hooks = (Object.keys(HOOKS) as HookName[]).filter((hook) =>
    UNFIRED.includes(HOOKS[hook].phase),
  );
  const watches = new Map(order.map(({ item }) => [item.id, item.watches ?? []]));
  const tapped = hooks.flatMap((hook) =>
    taps
      .listTaps(hook)
      .filter(({ plugin }) => !watches.get(plugin)?.includes(hook))
      .map(({ plugin }) => `'${plugin}' (${hook})`),
  );
  const scaling = order
    .filter(({ item }) => declaresKind(item.effects, 'updates'))
    .map(({ item }) => `'${item.id}' (scales updates)`);
  const own = optimizer.claims.map(({ plugin }) => `'${plugin}' (has an optimizer of its own)`);
  const found = [...tapped, ...scaling, ...own];
  if (found.length === 0) return;
  throw new EspalierError('session/unfired', {
    problem: `session.loss fires no hooks of epochs, steps and updates, and these plugins need them: ${found.join(', ')}`,
    fix: 'Train by session.step(batch), which fires every hook (attach: give it an optimizer and call run.step), or leave these plugins out.',
  });
}

const UNFIRED: readonly string[] = ['epoch', 'step', 'apply'];

/** The tape of the differentiation under way. */
function findTape(): object | undefined {
  const { gradientDepth, activeTape } = tf.engine().state;
  return gradientDepth > 0 ? activeTape : undefined;
}

function constraintError(path: string): EspalierError {
  return new EspalierError('session/constraints', {
    problem: `parameter '${path}' has a constraint, and an optimizer of your own does not apply it after session.loss`,
    fix: "Train by session.step(batch), or, as in LayersModel.fit, without constraints: semantics: 'tfjs'.",
  });
}
