import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { CustomCallbackArgs, LayersModel, Logs, ModelFitArgs } from '@tensorflow/tfjs-layers';
import { readHistory } from './attached.js';
import type { Program, Seen } from './attached.js';
import { dataset, ROWS } from './fits.js';
import { HOW, mlp, oneHot, x } from './losses.js';

type Recorder = (what: string, ...seen: Seen[]) => void;
type WithCallbacks = Pick<ModelFitArgs, 'callbacks' | 'epochs' | 'validationSplit' | 'yieldEvery'>;

const classifier = {
  model: () => mlp('softmax'),
  compile: () => ({ loss: 'categoricalCrossentropy', metrics: ['accuracy'] }),
};

/** A fit with callbacks that record what they see. */
const watched = (make: (record: Recorder, model: LayersModel) => WithCallbacks): Program => ({
  ...classifier,
  train: async (model) => {
    const seen: Seen[] = [];
    const more = make((...what) => seen.push(what), model);
    const history = await model.fit(x(), oneHot(), { ...HOW, ...more });
    return [seen, readHistory(history)];
  },
});

/** Every hook of a callback, each with a wait. */
function everyHook(record: Recorder): CustomCallbackArgs {
  const later = (what: string) => async (at: number, logs?: Logs) => {
    record(`${what} begins`, at);
    await new Promise((resolve) => setTimeout(resolve));
    record(what, at, { ...(logs as Record<string, number>) });
  };
  const whole = (what: string) => async (logs?: Logs) => later(what)(0, logs);
  return {
    onTrainBegin: whole('train begin'),
    onEpochBegin: later('epoch begin'),
    onBatchBegin: later('batch begin'),
    onBatchEnd: later('batch end'),
    onEpochEnd: later('epoch end'),
    onTrainEnd: whole('train end'),
  };
}

/** A class as libraries write them: it gets tensors and the model. */
class Watcher extends tfl.Callback {
  constructor(private readonly record: Recorder) {
    super();
  }

  override async onBatchEnd(batch: number, logs: Readonly<Record<string, number | Tensor>> = {}) {
    const { loss } = logs;
    this.record('loss', batch, loss instanceof tf.Tensor ? [...(await loss.data())] : loss);
  }

  override async onEpochEnd(epoch: number) {
    const [prediction] = [this.model.predict(x())].flat();
    this.record('prediction', epoch, [...(await prediction!.data())]);
    this.record('params', String(Object.keys(this.params).sort()));
  }
}

const setRate = (model: LayersModel, rate: number) =>
  (model.optimizer as tf.SGDOptimizer).setLearningRate(rate);

/** Ways to put off: what yields to the page is counted, by a clock of the test's. */
function yielding(yieldEvery: ModelFitArgs['yieldEvery'], onYield = true): Program {
  return watched((record) => {
    let now = 0;
    return {
      yieldEvery,
      callbacks: {
        nowFunc: () => (now += 3),
        nextFrameFunc: async () => record('next frame'),
        ...(onYield && { onYield: async (epoch, batch) => record('yields', epoch, batch) }),
      },
    };
  });
}

/** Each callback of tfjs, and what callbacks are used for. */
export const callbacks: readonly (readonly [string, Program])[] = [
  ['History', watched(() => ({ validationSplit: 0.4 }))],
  [
    'EarlyStopping',
    watched(() => ({
      epochs: 6,
      validationSplit: 0.4,
      callbacks: tfl.callbacks.earlyStopping({ monitor: 'val_loss', minDelta: 0.01 }),
    })),
  ],
  ['every hook, each waits', watched((record) => ({ callbacks: everyHook(record) }))],
  [
    'every hook, with validation',
    watched((record) => ({ validationSplit: 0.4, callbacks: everyHook(record) })),
  ],
  [
    'two in a list',
    watched((record) => ({
      callbacks: [
        everyHook(record),
        { onEpochEnd: async (epoch: number) => record('second', epoch) },
      ],
    })),
  ],
  [
    'CustomCallback and a class beside each other',
    watched((record) => ({
      callbacks: [new tfl.CustomCallback(everyHook(record)), new Watcher(record)],
    })),
  ],
  [
    'a learning rate that a callback sets',
    watched((_, model) => ({
      epochs: 3,
      callbacks: { onEpochBegin: async (epoch) => setRate(model, 0.1 / (epoch + 1)) },
    })),
  ],
  [
    'a learning rate set in a batch',
    watched((_, model) => ({
      callbacks: { onBatchBegin: async (batch) => setRate(model, 0.1 * (batch + 1)) },
    })),
  ],
  [
    'stopTraining in an epoch',
    watched((record, model) => ({
      epochs: 4,
      callbacks: {
        ...everyHook(record),
        onEpochEnd: async (epoch) => {
          model.stopTraining = epoch === 1;
        },
      },
    })),
  ],
  [
    'stopTraining in a batch',
    watched((record, model) => ({
      epochs: 4,
      callbacks: {
        ...everyHook(record),
        onBatchEnd: async (batch) => {
          model.stopTraining = batch === 1;
        },
      },
    })),
  ],
  [
    'weights that a callback reads',
    watched((record, model) => ({
      callbacks: {
        onBatchEnd: async (batch) => record('weight', batch, model.getWeights()[0]!.dataSync()[0]),
      },
    })),
  ],
  [
    'weights that a callback sets',
    watched((_, model) => ({
      callbacks: {
        onEpochBegin: async () =>
          model.setWeights(model.getWeights().map((weight) => tf.mul(weight, 0.5))),
      },
    })),
  ],
  [
    'evaluate in a callback',
    watched((record, model) => ({
      callbacks: {
        onEpochEnd: async () =>
          record(
            'evaluated',
            [model.evaluate(x(), oneHot())].flat().map((value) => value.dataSync()[0]),
          ),
      },
    })),
  ],
  [
    'fitDataset, every hook and EarlyStopping',
    {
      ...classifier,
      train: async (model) => {
        const seen: Seen[] = [];
        const record: Recorder = (...what) => seen.push(what);
        const history = await model.fitDataset(dataset(ROWS), {
          epochs: 5,
          validationData: dataset(ROWS),
          callbacks: [
            new tfl.CustomCallback(everyHook(record)),
            tfl.callbacks.earlyStopping({ monitor: 'val_loss', minDelta: 0.05 }),
          ],
        });
        return [seen, readHistory(history)];
      },
    },
  ],
  ["yieldEvery 'auto'", yielding('auto')],
  ["yieldEvery 'batch'", yielding('batch')],
  ["yieldEvery 'epoch'", yielding('epoch')],
  ["yieldEvery 'never'", yielding('never', false)],
  ['yieldEvery, milliseconds', yielding(5)],
];
