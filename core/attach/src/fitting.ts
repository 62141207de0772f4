import type { RawBatch, Source } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { History } from '@tensorflow/tfjs-layers';
import type {
  CompiledModel,
  DatasetOfBatches,
  FitDatasetArguments,
  FitLoopArguments,
  GivenBatch,
  TensorsOfTfjs,
} from './compiled-model.js';
import { readDataset, readRows } from './fit-batches.js';
import { writeHistory } from './fit-position.js';
import type { FitCall } from './fit-position.js';
import { toCallbacks } from './list-callbacks.js';
import { listTensors } from './raw-batches.js';
import { RowBatches } from './rows.js';
import { Shadow } from './shadow.js';
import { StepCallback } from './step-callback.js';
import type { FitBatches } from './step-callback.js';
import { disposeNew } from './training.js';
import type { Training } from './training.js';
import { makeValidation, readDatasetSource, readRowSource } from './validation.js';
import type { Validate } from './validation.js';

const DEFAULT_BATCH = 32;

/** `fitLoop` of tfjs with the steps of the session: tfjs calls the callbacks, validates and logs. */
export async function fitRows(
  training: Training,
  loop: CompiledModel['fitLoop'],
  args: FitLoopArguments,
): Promise<History> {
  const [, ins, labels, batchSize = DEFAULT_BATCH, epochs, verbose, callbacks, ...rest] = args;
  const [validate, validationIns, shuffle = true, metrics, initialEpoch = 0] = rest;
  const { translator, seed, classWeight } = training;
  const rows = new RowBatches(listData(training, ins), batchSize);
  const order = shuffle === true ? (epoch: number) => rows.shuffle(seed, epoch) : undefined;
  const batches = readRows(rows, (data) => translator.fromList(data), order);
  const placeholder = tf.zeros([rows.rows]);
  const held = validationIns && validationIns.length > 0 ? listData(training, validationIns) : [];
  const source =
    held.length > 0
      ? readRowSource(new RowBatches(held, batchSize), (data) => translator.fromList(data))
      : undefined;
  const data = { batches, classWeight, validate: makeValidation(training, source) };
  try {
    const call = {
      of: 'fit',
      epochs: epochs ?? null,
      initialEpoch,
      batchSize,
      examples: rows.rows,
    };
    return await runFit(training, { ...data, call }, (step, done) =>
      loop(
        step.train,
        [placeholder],
        labels,
        batchSize,
        epochs,
        verbose,
        [...callbacks, step],
        validate,
        validationIns,
        shuffle === 'batch' ? shuffle : false,
        metrics,
        initialEpoch + done,
        null,
        null,
      ),
    );
  } finally {
    placeholder.dispose();
  }
}

/** `fitDataset` of tfjs with the steps of the session. */
export async function fitDataset(
  training: Training,
  loop: CompiledModel['fitDataset'],
  { dataset, args }: { readonly dataset: DatasetOfBatches; readonly args: FitDatasetArguments },
): Promise<History> {
  const { session, trained } = training;
  const { callbacks, yieldEvery, classWeight, initialEpoch = 0, ...others } = args;
  const makeRaw = (value: unknown) => readBatch(training, value, classWeight);
  const { epochs = null, batchesPerEpoch = null } = others;
  const call = { of: 'fitDataset', epochs, initialEpoch, batchesPerEpoch };
  const skip = () => training.position.epochsDone * (batchesPerEpoch ?? 0);
  const read = readDataset(dataset, makeRaw, { looksAhead: session.looksAhead, skip });
  const validate = makeValidation(
    training,
    readValidation(training, others, (value) => readBatch(training, value, undefined)),
  );
  return runFit(
    training,
    { batches: read.batches, validate, call, classWeight },
    async (step, done) => {
      const shadow = new Shadow();
      shadow.replace(trained, { makeTrainFunction: () => step.train });
      try {
        return await loop(read.dataset, {
          ...others,
          callbacks: [...toCallbacks(callbacks, yieldEvery), step],
          initialEpoch: initialEpoch + done,
        });
      } finally {
        shadow.restore();
      }
    },
  );
}

/** The validation data of a `fitDataset`: a dataset, or inputs and targets. */
function readValidation(
  { translator }: Training,
  { validationData, validationBatches, validationBatchSize }: FitDatasetArguments,
  makeRaw: (value: unknown) => Promise<RawBatch>,
): Source | undefined {
  if (!validationData) return undefined;
  if ('iterator' in validationData) {
    return readDatasetSource(validationData, makeRaw, validationBatches);
  }
  const [xs, ys] = Array.isArray(validationData)
    ? (validationData as readonly TensorsOfTfjs[])
    : [(validationData as GivenBatch).xs, (validationData as GivenBatch).ys];
  const data = [...translator.listInputs(xs!), ...translator.listTargets(ys!)];
  const rows = new RowBatches(data, validationBatchSize ?? DEFAULT_BATCH);
  return readRowSource(rows, (given) => translator.fromList(given));
}

/** `trainOnBatch` of tfjs by a step of the session: the loss, or the loss and the metrics. */
export async function trainOnBatch(
  training: Training,
  x: TensorsOfTfjs,
  y: TensorsOfTfjs,
): Promise<number | number[]> {
  await training.refresh();
  training.position.checkOwnStep();
  const [inputs, targets] = await training.trained.standardizeUserData(x, y);
  const data = [...inputs, ...targets];
  const raw = tf.tidy(() => training.translator.fromList(data) as never) as RawBatch;
  try {
    const numbers = training.listNumbers(await training.session.step(raw));
    return numbers.length === 1 ? numbers[0]! : [...numbers];
  } finally {
    const given = [x, y].flatMap(listTensors);
    disposeNew(raw, given);
    tf.dispose(data.filter((tensor) => !given.includes(tensor)));
  }
}

interface FitParts {
  readonly batches: FitBatches;
  readonly validate: Validate | undefined;
  readonly call: FitCall;
  readonly classWeight: unknown;
}

/** One call of a fit: its hooks, its place among the calls of the program, and what stops it. */
async function runFit(
  training: Training,
  { batches, validate, call, classWeight }: FitParts,
  loop: (step: StepCallback, epochsDone: number) => Promise<History>,
): Promise<History> {
  const { position, session, trained } = training;
  const passed = position.beginFit(call);
  if (passed) return makeHistory(trained, passed);
  const step = new StepCallback(
    {
      ...{ session, position, model: trained },
      listNumbers: (log) => training.listNumbers(log),
      step: (...args) => training.withClassWeights(classWeight, () => session.step(...args)),
    },
    batches,
    validate,
  );
  try {
    const history = await loop(step, position.epochsDone);
    position.completeHistory(history);
    position.endFit();
    await session.endFit();
    return history;
  } catch (error) {
    await endFailed(training, error);
    position.abandonFit();
    throw error;
  } finally {
    batches.dispose();
  }
}

/** The error that ended the fit is the one to see. */
async function endFailed({ session }: Training, error: unknown): Promise<void> {
  const reason = error instanceof Error ? error.message : String(error);
  await session
    .endFit({ status: 'failed', reason })
    .catch((second: unknown) => session.telemetry.emit('warning', { message: String(second) }));
}

function makeHistory(
  trained: CompiledModel,
  passed: NonNullable<ReturnType<Training['position']['beginFit']>>,
): History {
  const history = new History();
  writeHistory(history, passed);
  trained.history = history;
  return history;
}

/**
 * Inputs and targets, and the weights of examples. Of several outputs, class weights count in the losses:
 * tfjs gives a tensor of weights for each, or a gap.
 */
function listData({ losses, trained }: Training, given: readonly (Tensor | null)[]): Tensor[] {
  const count = trained.inputNames.length + losses.length;
  const slots = given.slice(count);
  const weights = slots.length === 1 && slots[0] ? slots : [];
  return [...given.slice(0, count), ...weights] as Tensor[];
}

/** A batch of a dataset: `{ xs, ys }`, with weights where classes have them. */
async function readBatch(
  training: Training,
  value: unknown,
  classWeight: unknown,
): Promise<RawBatch> {
  const { xs, ys } = value as GivenBatch;
  const { translator, trained } = training;
  const lists = [[...translator.listInputs(xs)], [...translator.listTargets(ys)]] as const;
  const weights = classWeight
    ? (await trained.standardizeUserData(...lists, undefined, classWeight, false))[2]
    : null;
  const data = listData(training, [...lists.flat(), ...(weights ?? [])]);
  return tf.tidy(() => translator.fromList(data) as never);
}
