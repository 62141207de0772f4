import { attribute, EspalierError } from '@espalier/base';
import { checkTarget } from '@espalier/losses';
import * as tf from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from '../batch/batch.js';
import type { StepContext } from '../hooks/hooks.js';
import type { TapOutput } from '../hooks/taps.js';
import type { Run } from '../run.js';
import type { Fault } from './step-scalars.js';

/** A step that ended before parameters changed. */
interface FailedStep extends Pick<StepContext, 'microBatches'> {
  /** Gradients before any tap, and as each tap returned them. */
  readonly raw: NamedTensors;
  readonly trail: readonly TapOutput<'gradients'>[];
  /** What `batch` taps returned. */
  readonly passed: readonly TapOutput<'batch'>[];
  /** By loss term: the plugin that replaced its value. */
  readonly replacedBy: Readonly<Record<string, string>>;
}

/**
 * Finds the cause of a number that is not finite: a tap that returned wrong targets, a tap that made
 * gradients not finite, a plugin's loss term, or the data. Slow: it runs only when a step has failed.
 *
 * @returns EspalierError `targets/…`, `step/non-finite`.
 */
export async function explainFault(
  run: Run,
  fault: Fault,
  step: FailedStep,
): Promise<EspalierError> {
  const wrong = await findWrongTargets(run, step);
  if (wrong) return wrong;
  const { kind, path, term } = fault;
  const spoiler = kind === 'gradient' ? await findFaultyTap(path!, step) : undefined;
  const owner = term === undefined ? undefined : findOwner(term);
  const found = await findInputFault(step.microBatches);
  const plugin = spoiler ?? (found === '' ? owner : undefined);
  const replacer = step.replacedBy[term ?? ''];
  const by = replacer === undefined ? '' : `, as '${replacer}' replaced it,`;
  const error = nonFiniteError(run, { ...fault, by }, spoiler === undefined ? found : '');
  if (plugin === undefined) return error;
  const hook = spoiler === undefined ? 'loss' : 'gradients';
  return error.withPlace({ plugin, hook, step: run.clock.step });
}

function nonFiniteError(
  { clock }: Run,
  { received, by, ...fault }: Fault & { readonly by: string },
  found: string,
): EspalierError {
  const what = nameFault(fault) + by;
  return new EspalierError('step/non-finite', {
    problem: `step ${clock.step}: ${what} is not finite${found}; nothing of this step was applied`,
    received,
    fix: 'Lower the learning rate, clip gradients, or look at the term and its inputs; the last checkpoint is intact.',
  });
}

function nameFault({ term, path, kind }: Omit<Fault, 'received'>): string {
  if (term !== undefined) return `the loss term '${term}'`;
  if (path === undefined) return 'the total loss';
  return kind === 'gradient' ? `the gradient of '${path}'` : `the moving statistic '${path}'`;
}

const RUN_OWNERS = ['task', 'regularization'];

/** The plugin that added a term. */
function findOwner(term: string): string | undefined {
  const owner = term.slice(0, term.indexOf('/'));
  return RUN_OWNERS.includes(owner) ? undefined : owner;
}

/** The plugin whose tap made a gradient other than finite. */
async function findFaultyTap(
  path: string,
  { raw, trail }: FailedStep,
): Promise<string | undefined> {
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

/** The error of the first `batch` or `targets` tap that returned targets which a loss refuses. */
async function findWrongTargets(
  run: Run,
  { microBatches, passed }: FailedStep,
): Promise<EspalierError | undefined> {
  const { step } = run.clock;
  for (const { plugin, value } of passed) {
    const error = await checkTargets(run, value.targets, value.weights);
    if (error) return attribute(error, { plugin, hook: 'batch', step });
  }
  for (const batch of microBatches) {
    const outputs = run.objective.collectTargets(batch);
    try {
      for (const { plugin, value } of outputs) {
        const error = await checkTargets(run, value, batch.weights);
        if (error) return attribute(error, { plugin, hook: 'targets', step });
      }
    } finally {
      const theirs = new Set(Object.values(batch.targets));
      const made = outputs.flatMap(({ value }) => Object.values(value));
      tf.dispose(made.filter((tensor) => !theirs.has(tensor)));
    }
  }
  return undefined;
}

/** The error that a loss refuses the targets with; none where they are right. */
async function checkTargets(
  { settings, structure }: Run,
  targets: NamedTensors,
  weights: Batch['weights'],
): Promise<unknown> {
  try {
    for (const [output, loss] of Object.entries(settings.losses)) {
      const shape = structure.network.outputShapes[output]!;
      await checkTarget(loss, targets[output]!, { output, shape, weights });
    }
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Looks for a number in the data that is not finite, else for one whose square is not. */
async function findInputFault(microBatches: readonly Batch[]): Promise<string> {
  const lost = await findNumber(microBatches, (value) => !Number.isFinite(value));
  if (lost !== '') return ` (the data hold ${lost})`;
  const large = await findNumber(microBatches, (value) => Math.abs(value) > LARGE);
  return large === '' ? '' : ` (the data hold ${large}: its square is beyond float32)`;
}

/** Squares of larger numbers are beyond float32. */
const LARGE = 2 ** 64;

async function findNumber(
  microBatches: readonly Batch[],
  is: (value: number) => boolean,
): Promise<string> {
  for (const { inputs, targets, weights, size } of microBatches) {
    const weightOf = await weights?.data<'float32'>();
    const counts = (position: number, length: number) =>
      weightOf?.[Math.floor((position * weightOf.length) / length)] !== 0;
    for (const [name, tensor] of Object.entries({ ...inputs, ...targets })) {
      const values = await tensor.data();
      const at = values.findIndex((value, i) => is(value) && counts(i, tensor.size));
      if (at < 0) continue;
      const example = Math.floor((at * size) / tensor.size);
      return `${values[at]} in '${name}', example ${example} of the batch`;
    }
  }
  return '';
}
