import { EspalierError, suggest } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import type { RawBatch } from '@espalier/data';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Batch } from '../batch/batch.js';
import type { StepLog } from '../hooks/hooks.js';
import type { TapOutput } from '../hooks/taps.js';
import type { Run } from '../run.js';
import type { ParameterSet } from '../structure/parameter-set.js';
import { explainFault } from './faults.js';
import { disposeReplaced, takeMicroBatches } from './micro-batches.js';
import type { TapBatches } from './micro-batches.js';
import { computeStepScalars, findFault, makeLog } from './step-scalars.js';
import type { StepScalars } from './step-scalars.js';
import { sumMicroBatches } from './window-sums.js';

const BEFORE_UPDATE = [
  'batch',
  'beforeStep',
  'targets',
  'loss',
  'gradients',
  'beforeApply',
] as const;
const AFTER_UPDATE = ['afterApply', 'afterStep'] as const;

/** What the batches of a step belong to. */
export interface StepOptions {
  /** Whether they count in the epoch; default no. */
  readonly inEpoch?: boolean;
  /** The first batch of the next step, where a plugin looks ahead. */
  readonly next?: RawBatch | undefined;
}

/**
 * One optimizer step, in firing order: batch → beforeStep → [targets → loss] → gradients →
 * beforeApply → optimizer → afterApply → afterStep. The raw tensors stay the caller's.
 *
 * @throws EspalierError `session/step`, `step/non-finite`, and what batches and taps are refused for.
 */
export async function trainStep(
  run: Run,
  raw: readonly RawBatch[],
  { inEpoch = false, next }: StepOptions = {},
): Promise<StepLog> {
  if (raw.length === 0) throw emptyStepError();
  const { batches, clock, epoch, taps } = run;
  const ahead = run.lookAhead && next && (await batches.readAhead(next, raw.length));
  const passed: TapBatches = [];
  const statistics = new Map<string, Tensor>();
  const held: Tensor[] = [];
  run.followModel();
  run.begin(BEFORE_UPDATE);
  try {
    const microBatches = await takeMicroBatches(run, raw, passed);
    const step = { microBatches, clock, ...(ahead && { next: ahead }) };
    run.microBatches = microBatches;
    await taps.fire('beforeStep', step);

    const sums = accumulate(run, microBatches, statistics);
    held.push(...listTensors(sums));
    const { gradients, scalars } = sums;
    const numbers = await scalars.numbers.data<'float32'>();
    const fault = await findFault(numbers, scalars);
    if (fault) throw await explainFault(run, fault, { ...sums, microBatches, passed });
    const log = makeLog(numbers, scalars);

    taps.call('beforeApply', step);
    applyGradients(run, gradients, statistics);
    clock.advance(microBatches.length, { inEpoch });
    if (inEpoch) epoch.add(log, microBatches);
    run.begin(AFTER_UPDATE);
    taps.call('afterApply', step);

    run.report(log);
    await taps.fire('afterStep', { ...step, log });
    return log;
  } finally {
    tf.dispose([...held, ...statistics.values()]);
    run.microBatches = undefined;
    run.underWay = undefined;
    disposeReplaced(raw, passed);
  }
}

/** Gradients before and after the taps, tap by tap, and the numbers that the host reads. */
interface StepSums {
  readonly raw: NamedTensors;
  readonly trail: readonly TapOutput<'gradients'>[];
  readonly gradients: NamedTensors;
  readonly scalars: StepScalars;
  /** By loss term: the plugin that replaced its value. */
  readonly replacedBy: Readonly<Record<string, string>>;
}

/**
 * The synchronous zone: the gradients of every micro-batch, scaled by its share of the weight. Its
 * results are kept, since the step goes on asynchronously; the step disposes them.
 */
function accumulate(
  { objective, structure, taps }: Run,
  microBatches: readonly Batch[],
  statistics: Map<string, Tensor>,
): StepSums {
  let result!: StepSums;
  tf.tidy(() => {
    const sums = sumMicroBatches(microBatches, (batch) =>
      objective.gradients(batch, {}, statistics),
    );
    const { gradients: raw, replacedBy } = sums;
    const trail = taps.collect('gradients', raw, (value) =>
      refuseUnknown(value, structure.parameters),
    );
    const gradients = trail.at(-1)?.value ?? raw;
    const scalars = computeStepScalars({ ...sums, gradients }, Object.fromEntries(statistics));
    result = { raw, trail, gradients, scalars, replacedBy };
    listTensors(result).forEach((tensor) => tf.keep(tensor));
  });
  return result;
}

function listTensors({ raw, trail, scalars }: StepSums): Tensor[] {
  const all = [raw, ...trail.map(({ value }) => value)].flatMap((each) => Object.values(each));
  return [...new Set([scalars.numbers, ...all])];
}

function refuseUnknown(gradients: NamedTensors, parameters: ParameterSet): void {
  const unknown = Object.keys(gradients).find((path) => !parameters.isTrainable(path));
  if (unknown === undefined) return;
  throw new EspalierError('hooks/bad-return', {
    problem: `this 'gradients' tap returned a gradient for '${unknown}', and no parameter of that path trains`,
    fix: `${suggest(unknown, parameters.trainable)} Return { ...argument, … }.`,
  });
}

/** Optimizer, then parameters, optimizer state and moving statistics: all or nothing. */
function applyGradients(
  run: Run,
  gradients: NamedTensors,
  statistics: ReadonlyMap<string, Tensor>,
): void {
  const { clock, optimizer, structure } = run;
  const { parameters } = structure;
  tf.tidy(() => {
    const { updateScale } = run;
    const steps = optimizer.compute(gradients, { step: clock.step, updateScale });
    const next = steps.map((step) => run.constrain(step.next));
    parameters.assign(Object.assign({}, ...next, Object.fromEntries(statistics)) as NamedTensors);
    optimizer.commit(steps);
  });
}

function emptyStepError(): EspalierError {
  return new EspalierError('session/step', {
    problem: 'a step needs at least one batch',
    fix: 'Call session.step({ x, y }).',
  });
}
