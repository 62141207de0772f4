import { attribute, EspalierError } from '@espalier/base';
import { checkTarget } from '@espalier/losses';
import * as tf from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from './batch.js';
import type { Fault } from './finite.js';
import type { StepContext } from './hooks.js';
import type { Run } from './run.js';
import type { HandedOn } from './taps.js';

/** A step that ended before anything was applied. */
interface FailedStep extends Pick<StepContext, 'microBatches'> {
  /** Gradients before any tap, and as each tap handed them on. */
  readonly raw: NamedTensors;
  readonly trail: readonly HandedOn<'gradients'>[];
  /** By loss term: the plugin that replaced its value. */
  readonly replacedBy: Readonly<Record<string, string>>;
}

/**
 * Says whose fault it is that a number of a step is not finite: a tap that handed on wrong targets, one
 * that spoilt gradients, a plugin's loss term, or the data. Slow: read only when training has failed.
 *
 * @returns EspalierError `targets/…`, `step/non-finite`.
 */
export async function explainFault(
  run: Run,
  fault: Fault,
  step: FailedStep,
): Promise<EspalierError> {
  const wrong = await findWrongTargets(run, step.microBatches);
  if (wrong) return wrong;
  const { path, term } = fault;
  const spoiler = path === undefined ? undefined : await findSpoiler(path, step);
  const owner = term === undefined ? undefined : ownerOf(term);
  const found = await inputFault(step.microBatches);
  const plugin = spoiler ?? (found === '' ? owner : undefined);
  const replacer = step.replacedBy[term ?? ''];
  const by = replacer === undefined ? '' : `, as '${replacer}' replaced it,`;
  const error = nonFinite(run, { ...fault, by }, spoiler === undefined ? found : '');
  if (plugin === undefined) return error;
  const hook = spoiler === undefined ? 'loss' : 'gradients';
  return error.withPlace({ plugin, hook, step: run.clock.step });
}

function nonFinite(
  { clock }: Run,
  { term, path, received, by }: Fault & { readonly by: string },
  found: string,
): EspalierError {
  const gradient = path === undefined ? 'the total loss' : `the gradient of '${path}'`;
  const what = term === undefined ? gradient : `the loss term '${term}'${by}`;
  return new EspalierError('step/non-finite', {
    problem: `step ${clock.step}: ${what} is not finite${found}; nothing of this step was applied`,
    received,
    fix: 'Lower the learning rate, clip gradients, or look at the term and its inputs; the last checkpoint is intact.',
  });
}

const OF_THE_RUN = ['task', 'regularization'];

/** The plugin that a term is of. */
function ownerOf(term: string): string | undefined {
  const owner = term.slice(0, term.indexOf('/'));
  return OF_THE_RUN.includes(owner) ? undefined : owner;
}

/** The plugin whose tap made a gradient other than finite. */
async function findSpoiler(path: string, { raw, trail }: FailedStep): Promise<string | undefined> {
  if (await isBroken(raw[path])) return undefined;
  for (const { plugin, value } of trail) {
    if (await isBroken(value[path])) return plugin;
  }
  return undefined;
}

async function isBroken(gradient: tf.Tensor | undefined): Promise<boolean> {
  const values = await gradient?.data();
  return values?.some((value) => !Number.isFinite(value)) ?? false;
}

/** The error of the first `batch` or `targets` tap that handed on what no loss can mean. */
async function findWrongTargets(
  run: Run,
  window: readonly Batch[],
): Promise<EspalierError | undefined> {
  const { step } = run.clock;
  for (const { plugin, value } of run.seen) {
    const error = await wrongTargets(run, value.targets, value.weights);
    if (error) return attribute(error, { plugin, hook: 'batch', step });
  }
  for (const batch of window) {
    const trail = run.objective.targetTrail(batch);
    try {
      for (const { plugin, value } of trail) {
        const error = await wrongTargets(run, value, batch.weights);
        if (error) return attribute(error, { plugin, hook: 'targets', step });
      }
    } finally {
      const theirs = new Set(Object.values(batch.targets));
      const made = trail.flatMap(({ value }) => Object.values(value));
      tf.dispose(made.filter((tensor) => !theirs.has(tensor)));
    }
  }
  return undefined;
}

async function wrongTargets(
  { losses, network }: Run,
  targets: NamedTensors,
  weights: Batch['weights'],
): Promise<unknown> {
  try {
    for (const [output, loss] of Object.entries(losses)) {
      const shape = network.outputShapes[output]!;
      await checkTarget(loss, targets[output]!, { output, shape, weights });
    }
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Looks for the cause in the data. */
async function inputFault(window: readonly Batch[]): Promise<string> {
  for (const { inputs, targets, weights, size } of window) {
    const weightOf = await weights?.data<'float32'>();
    const counts = (position: number, length: number) =>
      weightOf?.[Math.floor((position * weightOf.length) / length)] !== 0;
    for (const [name, tensor] of Object.entries({ ...inputs, ...targets })) {
      const values = await tensor.data();
      const at = values.findIndex((value, i) => !Number.isFinite(value) && counts(i, tensor.size));
      if (at < 0) continue;
      const example = Math.floor((at * size) / tensor.size);
      return ` (the data hold ${values[at]} in '${name}', example ${example} of the batch)`;
    }
  }
  return '';
}
