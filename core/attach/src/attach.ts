import { EspalierError } from '@espalier/core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { AttachedRun, isAttached } from './attached-run.js';
import { checkCompiled } from './compiled-model.js';
import { checkArguments } from './options.js';
import type { AttachOptions, Methods } from './options.js';

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
 * @throws EspalierError `attach/not-compiled`, `attach/attached`, `attach/optimizer-used`, `attach/own-loop`, and what
 * `createSession` throws where something that was compiled cannot be honoured.
 * @example
 * model.compile({ optimizer: 'adam', loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
 * const run = await attach(model, labelSmoothing());
 * await model.fit(x, y, { epochs: 5, validationSplit: 0.1 });
 * await run.detach();
 */
export async function attach(
  model: LayersModel,
  methods?: Methods,
  options: AttachOptions = {},
): Promise<AttachedRun> {
  checkArguments(methods, options);
  refuseAttached(model);
  checkCompiled(model);
  return AttachedRun.open({ model, byMethods: true, steps: true }, methods, options);
}

function refuseAttached(model: LayersModel): void {
  if (!isAttached(model)) return;
  throw new EspalierError('attach/attached', {
    problem: `attach: the model '${model.name}' is attached already`,
    fix: 'Give all plugins to one attach, or call detach() of the first run before the second.',
  });
}
