import { EspalierError } from '@espalier/core';
import type { InputShapes } from '@espalier/model';
import type { Variable } from '@tensorflow/tfjs-core';
import { LayersModel } from '@tensorflow/tfjs-layers';
import { AttachedRun, isAttached } from './attached-run.js';
import { checkCompiled, findTrainedModel, refuseFitting } from './compiled-model.js';
import { checkArguments } from './options.js';
import type { AttachOptions, Methods } from './options.js';
import { compileOwnLoop } from './own-loop.js';
import type { FunctionInOwnLoop, ModelInOwnLoop, OwnLoop } from './own-loop.js';
import { Shadow } from './shadow.js';

/**
 * Brings a preset or plugins into training code that exists. `fit`, `fitDataset`, `trainOnBatch`,
 * `evaluate`, `predict` and `save` of the compiled model stay, with callbacks, validation, metrics and
 * class weights; each step is that of a session. The model itself is trained.
 *
 * Without a preset it trains as tfjs does, to the bit.
 *
 * For a loop of one's own: `{ model, loss }`, or without a model `{ params, apply, loss, inputShape }`; then
 * `optimizer.minimize(() => run.loss({ x, y }))`, or with an `optimizer` among them `run.step({ x, y })`.
 *
 * @throws EspalierError `attach/not-compiled`, `attach/attached`, `attach/fitting`, `attach/optimizer-used`, `attach/own-loop`, and what
 * `createSession` throws where something that was compiled cannot be honoured.
 * @example
 * model.compile({ optimizer: 'adam', loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
 * const run = await attach(model, labelSmoothing());
 * await model.fit(x, y, { epochs: 5, validationSplit: 0.1 });
 * await run.detach();
 */
export async function attach(
  target: LayersModel | ModelInOwnLoop,
  methods?: Methods,
  options?: AttachOptions,
): Promise<AttachedRun>;
export async function attach<
  const P extends Readonly<Record<string, Variable>>,
  const I extends InputShapes,
>(
  target: FunctionInOwnLoop<P, I>,
  methods?: Methods,
  options?: AttachOptions,
): Promise<AttachedRun>;
export async function attach(
  target: LayersModel | OwnLoop,
  methods?: Methods,
  options: AttachOptions = {},
): Promise<AttachedRun> {
  checkArguments(methods, options);
  if (target instanceof LayersModel) {
    refuseAttached(target);
    checkCompiled(target);
    refuseFitting('attach', findTrainedModel(target));
    return attachCompiled(target, methods, options);
  }
  const model = compileOwnLoop(target);
  const steps = target.optimizer !== undefined;
  return AttachedRun.open({ model, byMethods: false, steps }, methods, options);
}

/** Until the run is open, training is refused: it would go without the plugins. */
async function attachCompiled(
  model: LayersModel,
  methods: Methods | undefined,
  options: AttachOptions,
): Promise<AttachedRun> {
  const guard = new Shadow();
  guard.replace(findTrainedModel(model), {
    makeTrainFunction: () => {
      throw notAwaitedError(model);
    },
  });
  try {
    return await AttachedRun.open({ model, byMethods: true, steps: true }, methods, options);
  } finally {
    guard.restore();
  }
}

function notAwaitedError({ name }: LayersModel): EspalierError {
  return new EspalierError('attach/not-awaited', {
    problem: `attach has not finished, and the model '${name}' was trained already`,
    fix: 'Wait for it before the first fit: const run = await attach(model, preset).',
  });
}

function refuseAttached(model: LayersModel): void {
  if (!isAttached(model)) return;
  throw new EspalierError('attach/attached', {
    problem: `attach: the model '${model.name}' is attached already`,
    fix: 'Give all plugins to one attach, or call detach() of the first run before the second.',
  });
}
