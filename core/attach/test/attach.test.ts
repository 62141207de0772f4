import { EspalierError, memoryStore } from '@espalier/core';
import { labelSmoothing as smoothing } from '@espalier/plugin-label-smoothing';
import { byot } from '@espalier/preset-baselines';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, ModelFitArgs } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { attach } from '../src/index.js';
import { classifier, datasetOf, labels, read, twoOutputs, waves } from './models.js';

beforeAll(() => onBackend('cpu'));

const EXAMPLES = 10;
const [x, y] = [() => waves([EXAMPLES, 4]), () => labels(EXAMPLES)];

function compiled(model: LayersModel = classifier()): LayersModel {
  model.compile({
    optimizer: tf.train.adam(0.02),
    loss: 'categoricalCrossentropy',
    metrics: ['accuracy'],
  });
  return model;
}

const how = { epochs: 3, batchSize: 4, shuffle: false, verbose: 0 } as const;

/** The same training by tfjs and by an attached model. */
async function compare(
  make: () => LayersModel,
  train: (model: LayersModel) => Promise<unknown>,
): Promise<void> {
  const [theirs, ours] = [make(), make()];
  const expected = await train(theirs);
  const run = await attach(ours);
  expect(await train(ours)).toEqual(expected);
  expect(read(ours)).toEqual(read(theirs));
  await run.detach();
}

const historyOf = async (model: LayersModel, args: Partial<ModelFitArgs> = {}) => {
  const { history, epoch } = await model.fit(x(), y(), { ...how, ...args });
  return { history, epoch };
};

describe('without a preset, an attached model trains as tfjs does, to the bit', () => {
  test('fit, with metrics and a validation split', () =>
    compare(compiled, (model) => historyOf(model, { validationSplit: 0.2 })));

  test('fit, with validation data and class weights', () =>
    compare(compiled, (model) =>
      historyOf(model, {
        validationData: [waves([3, 4], 5), labels(3)],
        classWeight: { 0: 1, 1: 3, 2: 0.5 },
      }),
    ));

  test('fitDataset, with a dataset to validate on', () =>
    compare(compiled, async (model) => {
      const batches = () => [
        { xs: waves([4, 4]), ys: labels(4) },
        { xs: waves([2, 4], 9), ys: labels(2) },
      ];
      const { history } = await model.fitDataset(datasetOf(batches), {
        epochs: 2,
        verbose: 0,
        validationData: datasetOf(batches),
        classWeight: { 0: 1, 1: 3, 2: 0.5 },
      });
      return history;
    }));

  test('trainOnBatch', () =>
    compare(compiled, async (model) => [
      await model.trainOnBatch(x(), y()),
      await model.trainOnBatch(x(), y()),
    ]));

  test('two outputs with a loss and metrics each', () =>
    compare(
      () => {
        const model = twoOutputs();
        model.compile({
          optimizer: 'sgd',
          loss: { kind: 'categoricalCrossentropy', size: 'meanSquaredError' },
          metrics: { kind: 'accuracy', size: 'mae' } as never,
        });
        return model;
      },
      async (model) => {
        const { history } = await model.fit(x(), [y(), waves([EXAMPLES, 1], 3)], how);
        // tfjs adds up the losses of each example, a session their means.
        return { ...history, loss: history['loss']!.map((value) => (value as number).toFixed(5)) };
      },
    ));

  test('class weights of two outputs', () =>
    compare(
      () => {
        const model = twoOutputs();
        const loss = ['categoricalCrossentropy', 'meanSquaredError'];
        model.compile({ optimizer: 'sgd', loss });
        return model;
      },
      async (model) => {
        const classWeight = { kind: { 0: 1, 1: 3, 2: 0.5 } } as never;
        const targets = [y(), waves([EXAMPLES, 1], 3)];
        const { history } = await model.fit(x(), targets, { ...how, classWeight });
        await model.fit(x(), targets, how);
        return [history['kind_loss'], history['size_loss']];
      },
    ));

  test('a second fit goes on, and epochs are relative', () =>
    compare(compiled, async (model) => [
      await historyOf(model, { epochs: 1 }),
      await historyOf(model, { epochs: 4, initialEpoch: 2 }),
    ]));

  test('sparse labels', () =>
    compare(
      () => {
        const model = classifier();
        model.compile({
          optimizer: 'rmsprop',
          loss: 'sparseCategoricalCrossentropy',
          metrics: ['acc'],
        });
        return model;
      },
      async (model) => {
        const ids = tf.cast(tf.argMax(y(), -1), 'float32');
        return (await model.fit(x(), ids, how)).history;
      },
    ));
});

describe('callbacks', () => {
  test('are called in tfjs’s order, async ones awaited, with a live model', () =>
    compare(compiled, async (model) => {
      const log: unknown[] = [];
      await historyOf(model, {
        epochs: 2,
        callbacks: {
          onTrainBegin: async () => void log.push('train'),
          onEpochBegin: async (epoch) => void log.push(['epoch', epoch]),
          onBatchBegin: async (batch) => void log.push(['batch', batch]),
          onBatchEnd: async (batch, logs) => {
            await Promise.resolve();
            log.push([batch, logs?.loss, logs?.acc, logs?.size]);
          },
          onEpochEnd: async (epoch, logs) => {
            const guess = model.predict(waves([1, 4])) as tf.Tensor;
            log.push([epoch, logs, [...(await guess.data())]]);
          },
          onTrainEnd: async () => void log.push('end'),
        },
      });
      return log;
    }));

  test('a learning rate and stopTraining that a callback sets take effect', () =>
    compare(compiled, (model) =>
      historyOf(model, {
        epochs: 5,
        callbacks: {
          onEpochEnd: async (epoch) => {
            (model.optimizer as unknown as { learningRate: number }).learningRate = 0.5;
            if (epoch === 2) model.stopTraining = true;
          },
        },
      }),
    ));

  test('EarlyStopping of tfjs', () =>
    compare(compiled, (model) =>
      historyOf(model, {
        epochs: 8,
        validationSplit: 0.3,
        callbacks: tfl.callbacks.earlyStopping({ monitor: 'val_loss', patience: 1 }),
      }),
    ));

  test('one that throws ends the fit, and the next fit works', async () => {
    const model = compiled();
    const run = await attach(model);
    const failing = { onBatchEnd: () => Promise.reject(new Error('mine')) };
    await expect(historyOf(model, { callbacks: failing })).rejects.toThrow('mine');
    expect((await historyOf(model)).epoch).toHaveLength(3);
    await run.detach();
  });
});

describe('a preset', () => {
  test('that smooths labels changes training, and metrics read the labels as they are', async () => {
    const [plain, smooth] = [compiled(), compiled()];
    await historyOf(plain);
    const run = await attach(smooth, smoothing({ epsilon: 0.3 }));
    const { history } = await historyOf(smooth);
    expect(read(smooth)).not.toEqual(read(plain));
    expect(Object.keys(history)).toEqual(['loss', 'acc']);
    await run.detach();
  });

  test('that adds exits trains the caller’s own model', async () => {
    const model = compiled();
    const before = read(model);
    const run = await attach(model, byot({ at: ['hidden'], branch: 'linear', hint: 0 }));
    await historyOf(model, { epochs: 1 });
    const [guess] = [model.predict(x()) as tf.Tensor];
    expect(guess.shape).toEqual([EXAMPLES, 3]);
    expect(read(model)).not.toEqual(before);
    expect(run.explain()).toContain('multi-exit');
    await run.detach();
    expect(Object.hasOwn(model, 'fit')).toBe(false);
    await historyOf(model, { epochs: 1 });
  });
});

test('metrics that plugins add to evaluations are in the logs of the validation', async () => {
  const model = compiled();
  const run = await attach(model, byot({ at: ['hidden'], branch: 'linear', hint: 0 }));
  const validationData = [waves([3, 4], 5), labels(3)] as [tf.Tensor, tf.Tensor];
  const { history } = await historyOf(model, { epochs: 1, validationData });
  const added = Object.keys(history).filter((name) => /^val_.*exit/.test(name));
  expect(history).not.toHaveProperty('val_accuracy'); // tfjs says val_acc
  expect(added.length).toBeGreaterThan(0);
  const batches = () => [{ xs: waves([4, 4]), ys: labels(4) }];
  const logs = await model.fitDataset(datasetOf(batches), {
    epochs: 1,
    validationData: datasetOf(batches),
  });
  expect(Object.keys(logs.history)).toEqual(Object.keys(history));
  await run.detach();
});

test('a layer that is frozen after compile stays still, as in tfjs', () =>
  compare(compiled, async (model) => {
    model.layers[0]!.trainable = false;
    const first = await historyOf(model, { epochs: 1 });
    model.layers[0]!.trainable = true;
    return [first, await historyOf(model, { epochs: 1 })];
  }));

describe('an optimizer', () => {
  const optimizers = {
    momentum: () => tf.train.momentum(0.05, 0.9),
    adam: () => tf.train.adam(0.02),
    rmsprop: () => tf.train.rmsprop(0.01, 0.9, 0.5),
    adagrad: () => tf.train.adagrad(0.1),
    adadelta: () => tf.train.adadelta(1),
  };
  test.each(Object.entries(optimizers))(
    '%s that has taken steps goes on in a run, and after it in tfjs',
    async (_, make) => {
      const compile = () => {
        const model = classifier();
        model.compile({ optimizer: make(), loss: 'categoricalCrossentropy' });
        return model;
      };
      const [theirs, ours] = [compile(), compile()];
      for (let i = 0; i < 3; i++) await historyOf(theirs, { epochs: 1 });
      await historyOf(ours, { epochs: 1 });
      const run = await attach(ours);
      await historyOf(ours, { epochs: 1 });
      await run.detach();
      await historyOf(ours, { epochs: 1 });
      expect(read(ours)).toEqual(read(theirs));
      expect(ours.optimizer.iterations).toBe(theirs.optimizer.iterations);
    },
  );

  test('is saved with the model as it trained', async () => {
    const [theirs, ours] = [compiled(), compiled()];
    const saved = async (model: LayersModel) => {
      let artifacts!: tf.io.ModelArtifacts;
      const handler = tf.io.withSaveHandler((given) => {
        artifacts = given;
        return Promise.resolve({
          modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' as const },
        });
      });
      await model.save(handler, { includeOptimizer: true });
      return artifacts;
    };
    await historyOf(theirs);
    const run = await attach(ours);
    await historyOf(ours);
    expect((await saved(ours)).weightData).toEqual((await saved(theirs)).weightData);
    await run.detach();
  });
});

test('compiling again takes a new optimizer, loss and the weights that train', () =>
  compare(
    () => {
      const model = classifier();
      model.layers[0]!.trainable = false;
      return compiled(model);
    },
    async (model) => {
      const first = await historyOf(model, { epochs: 1 });
      model.layers[0]!.trainable = true;
      model.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError', metrics: ['mae'] });
      return [first, await historyOf(model, { epochs: 2 })];
    },
  ));

test('compiling a sequential model again keeps the preset', async () => {
  const [plain, smooth] = [compiled(), compiled()];
  const run = await attach(smooth, smoothing({ epsilon: 0.3 }));
  for (const model of [plain, smooth]) {
    model.compile({ optimizer: 'sgd', loss: 'categoricalCrossentropy' });
    await historyOf(model, { epochs: 1 });
  }
  expect(run.session.clock.step).toBe(3);
  expect(read(smooth)).not.toEqual(read(plain));
  await run.detach();
});

test('sampleWeight, which tfjs does not support, weighs examples as classWeight does', async () => {
  const [byClass, byExample] = [compiled(), compiled()];
  const runs = [await attach(byClass), await attach(byExample)];
  const classes = tf.argMax(y(), -1).dataSync();
  const weightOf = [1, 3, 0.5];
  await historyOf(byClass, { classWeight: { 0: 1, 1: 3, 2: 0.5 } });
  const sampleWeight = tf.tensor1d([...classes].map((id) => weightOf[id]!));
  await historyOf(byExample, { sampleWeight });
  expect(read(byExample)).toEqual(read(byClass));
  await expect(historyOf(byExample, { sampleWeight: tf.ones([2]) as tf.Tensor1D })).rejects.toThrow(
    'sampleWeight has 2 weights for 10 examples',
  );
  await Promise.all(runs.map((run) => run.detach()));
});

test('a run that loads a checkpoint goes on to the same bits', async () => {
  const program = async (model: LayersModel) => [
    await historyOf(model, { epochs: 1, shuffle: true }),
    await historyOf(model, { epochs: 3, shuffle: true, validationSplit: 0.2 }),
  ];
  const whole = compiled();
  const one = await attach(whole, smoothing());
  const expected = await program(whole);

  const store = memoryStore();
  const cut = compiled();
  const two = await attach(cut, smoothing());
  let steps = 0;
  const stop = async () => {
    steps += 1;
    if (steps !== 5) return;
    await two.save(store);
    throw new Error('killed');
  };
  const broken = async () => {
    await historyOf(cut, { epochs: 1, shuffle: true });
    await historyOf(cut, {
      ...{ epochs: 3, shuffle: true, validationSplit: 0.2 },
      callbacks: { onBatchEnd: stop },
    });
  };
  await expect(broken()).rejects.toThrow('killed');

  const resumed = compiled();
  const three = await attach(resumed, smoothing());
  expect(await three.load({ store })).toBe(true);
  expect(await program(resumed)).toEqual(expected);
  expect(read(resumed)).toEqual(read(whole));
  await Promise.all([one, two, three].map((run) => run.detach()));
});

describe('a program that is not the one that made the checkpoint', () => {
  const begin = async (make = compiled) => {
    const model = make();
    return { model, run: await attach(model) };
  };
  const saveAfter = async (work: (model: LayersModel) => Promise<unknown>) => {
    const store = memoryStore();
    const { model, run } = await begin();
    await work(model);
    await run.save(store);
    return store;
  };
  const resume = async (
    store: ReturnType<typeof memoryStore>,
    work: (model: LayersModel) => Promise<unknown>,
  ) => {
    const { model, run } = await begin();
    await run.load({ store });
    return work(model);
  };

  test.each([
    [{ epochs: 4 }, 'epochs: 2 when the loaded checkpoint was made, and has epochs: 4 now'],
    [{ batchSize: 5 }, 'batchSize: 4'],
    [{ validationSplit: 0.2 }, 'examples: 10'],
  ])('a fit with %o is refused', async (args, text) => {
    const store = await saveAfter((model) => historyOf(model, { epochs: 2 }));
    const changed = resume(store, (model) => historyOf(model, { epochs: 2, ...args }));
    await expect(changed).rejects.toThrow(text);
    await expect(changed).rejects.toHaveProperty('code', 'attach/resume');
  });

  test('a batch that would be trained twice is refused', async () => {
    const store = await saveAfter((model) => historyOf(model, { epochs: 1 }));
    await expect(resume(store, (model) => model.trainOnBatch(x(), y()))).rejects.toHaveProperty(
      'code',
      'attach/resume',
    );
  });

  test('a checkpoint of another compilation is refused', async () => {
    const store = await saveAfter(async (model) => {
      compiled(model);
      await historyOf(model, { epochs: 1 });
    });
    const earlier = resume(store, (model) => historyOf(model, { epochs: 1 }));
    await expect(earlier).rejects.toHaveProperty('code', 'attach/resume');
  });
});

test('loading in the process that saved goes back, and the next fit trains', async () => {
  const store = memoryStore();
  const model = compiled();
  const run = await attach(model);
  await historyOf(model, { epochs: 1 });
  await run.save(store);
  const saved = read(model);
  const second = await historyOf(model, { epochs: 1 });
  await run.load({ store });
  expect(read(model)).toEqual(saved);
  expect(await historyOf(model, { epochs: 1 })).toEqual(second);
  await run.detach();
});

test('a resumed run has the learning rate that callbacks had set', async () => {
  const program = (model: LayersModel, stop?: () => Promise<void>) => {
    const optimizer = model.optimizer as unknown as { learningRate: number };
    const slow = async () => {
      optimizer.learningRate *= 0.5;
      await stop?.();
    };
    return historyOf(model, { callbacks: { onBatchEnd: slow } });
  };
  const [whole, cut, resumed] = [compiled(), compiled(), compiled()];
  const runs = await Promise.all([whole, cut, resumed].map((model) => attach(model)));
  const expected = await program(whole);
  const store = memoryStore();
  let steps = 0;
  const stop = async () => {
    if (++steps !== 5) return;
    await runs[1]!.save(store);
    throw new Error('killed');
  };
  await expect(program(cut, stop)).rejects.toThrow('killed');
  await runs[2]!.load({ store });
  expect(await program(resumed)).toEqual(expected);
  expect(read(resumed)).toEqual(read(whole));
  await Promise.all(runs.map((run) => run.detach()));
});

test('a dataset that goes on from epoch to epoch does so in a resumed run', async () => {
  const batches = () => [0, 1, 2, 3].map((i) => ({ xs: waves([2, 4], i), ys: labels(2) }));
  const program = async (model: LayersModel, onBatchEnd?: () => Promise<void>) => {
    const callbacks = onBatchEnd ? { onBatchEnd } : {};
    const args = { epochs: 2, batchesPerEpoch: 2, verbose: 0 as const, callbacks };
    return (await model.fitDataset(datasetOf(batches), args)).history;
  };
  const [whole, cut, resumed] = [compiled(), compiled(), compiled()];
  const runs = await Promise.all([whole, cut, resumed].map((model) => attach(model)));
  const expected = await program(whole);
  const store = memoryStore();
  const stop = async () => {
    if (runs[1]!.session.clock.step !== 3) return;
    await runs[1]!.save(store);
    throw new Error('killed');
  };
  await expect(program(cut, stop)).rejects.toThrow('killed');
  await runs[2]!.load({ store });
  expect(await program(resumed)).toEqual(expected);
  await Promise.all(runs.map((run) => run.detach()));
});

test('no tensor is left behind', async () => {
  const model = compiled();
  const train = async () => {
    const [xs, ys] = [x(), y()];
    const run = await attach(model, smoothing());
    await model.fit(xs, ys, { ...how, validationSplit: 0.2 });
    await model.trainOnBatch(xs, ys);
    await run.detach();
    tf.dispose([xs, ys]);
    return tf.memory().numTensors;
  };
  const first = await train(); // the compiled optimizer remembers its steps from here on
  expect(await train()).toBe(first);
});

describe('bad input', () => {
  const codeOf = (work: () => Promise<unknown>) =>
    work().then(
      () => undefined,
      (error: unknown) => (error instanceof EspalierError ? error.code : String(error)),
    );

  test('a model that is not compiled', async () => {
    expect(await codeOf(() => attach(classifier()))).toBe('attach/not-compiled');
  });

  test('a model that is attached already, until it is detached', async () => {
    const model = compiled();
    const run = await attach(model);
    expect(await codeOf(() => attach(model))).toBe('attach/attached');
    await run.detach();
    await (await attach(model)).detach();
  });

  test('an optimizer that has taken steps of which tfjs tells nothing', async () => {
    const model = classifier();
    model.compile({ optimizer: tf.train.adamax(0.02), loss: 'categoricalCrossentropy' });
    await historyOf(model, { epochs: 1 });
    expect(await codeOf(() => attach(model))).toBe('attach/optimizer-used');
  });

  test('a loss without a gradient', async () => {
    const model = classifier();
    const loss = (_: tf.Tensor, guess: tf.Tensor) => tf.tensor1d(guess.dataSync().slice(0, 4));
    model.compile({ optimizer: 'sgd', loss });
    const run = await attach(model);
    expect(await codeOf(() => model.trainOnBatch(waves([4, 4]), labels(4)))).toBe(
      'attach/no-gradient',
    );
    await run.detach();
  });

  test('a loss that gives no tensor, or one of another length', async () => {
    const losses = [() => Promise.resolve(tf.scalar(0)), () => tf.zeros([7])];
    for (const loss of losses) {
      const model = classifier();
      model.compile({ optimizer: 'sgd', loss: loss as never });
      const run = await attach(model);
      const step = () => model.trainOnBatch(waves([4, 4]), labels(4));
      expect(await codeOf(step)).toBe('attach/loss-shape');
      await run.detach();
    }
  });

  test('a preset that is not called', async () => {
    expect(await codeOf(() => attach(compiled(), byot as never))).toBe('attach/preset');
  });

  test.each([null, 5])('%o for a preset', async (preset) => {
    expect(await codeOf(() => attach(compiled(), preset as never))).toBe('attach/preset');
    expect(await codeOf(() => attach(preset as never))).toBe('attach/own-loop');
  });

  test('attaching twice at once, and an old run that is detached again', async () => {
    const model = compiled();
    const [first, second] = await Promise.allSettled([attach(model), attach(model)]);
    expect(second).toHaveProperty('reason.code', 'attach/attached');
    const old = (first as PromiseFulfilledResult<Awaited<ReturnType<typeof attach>>>).value;
    await old.detach();
    const run = await attach(model);
    await old.detach();
    expect(await codeOf(() => attach(model))).toBe('attach/attached');
    await run.detach();
  });

  test('attaching, loading or detaching while a fit is under way', async () => {
    const model = compiled();
    const during = async (work: () => Promise<unknown>) => {
      let code: unknown;
      const onEpochEnd = async () => void (code = await codeOf(work));
      await historyOf(model, { epochs: 1, callbacks: { onEpochEnd } });
      return code;
    };
    expect(await during(() => attach(model))).toBe('attach/fitting');
    const run = await attach(model);
    expect(await during(() => run.detach())).toBe('attach/fitting');
    expect(await during(() => run.load({ store: memoryStore() }))).toBe('attach/fitting');
    await run.detach();
  });

  test('a model that is disposed before it is detached', async () => {
    const model = compiled();
    const run = await attach(model);
    await historyOf(model, { epochs: 1 });
    model.dispose();
    expect(await codeOf(() => run.detach())).toBe('model/disposed');
    expect(Object.hasOwn(model, 'compile')).toBe(false);
  });

  test('layers that are added to an attached model', async () => {
    const model = compiled() as tfl.Sequential;
    const run = await attach(model);
    expect(() => model.pop()).toThrow('attach/layers');
    await run.detach();
    expect(Object.hasOwn(model, 'add')).toBe(false);
  });

  test('batches that are none', async () => {
    const model = compiled();
    const run = await attach(model);
    expect(await codeOf(() => run.step(undefined as never))).toBe('attach/batch');
    expect(await codeOf(() => run.step({ x: x() } as never))).toBe('attach/batch');
    const pairs = datasetOf(() => [[x(), y()]] as never);
    expect(await codeOf(() => model.fitDataset(pairs, { epochs: 1 }))).toBe('attach/batch');
    await run.detach();
  });
});

test('an optimizer that is set on the model takes effect', () =>
  compare(compiled, async (model) => {
    await historyOf(model, { epochs: 1 });
    model.optimizer = tf.train.sgd(0.5);
    return historyOf(model, { epochs: 1 });
  }));

test('a model that trains before attach has finished is refused', async () => {
  const model = compiled();
  const attaching = attach(model, smoothing());
  await expect(model.fit(x(), y(), how)).rejects.toMatchObject({ code: 'attach/not-awaited' });
  const run = await attaching;
  await model.fit(x(), y(), how);
  await run.detach();
});

test('a compilation that is refused ends nothing: the next one trains', async () => {
  const model = compiled();
  const run = await attach(model, smoothing());
  await historyOf(model, { epochs: 1 });
  model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
  const refused = { code: 'label-smoothing/no-classes' };
  await expect(historyOf(model)).rejects.toMatchObject(refused);
  await expect(historyOf(model)).rejects.toMatchObject(refused);
  compiled(model);
  expect((await historyOf(model)).epoch).toHaveLength(3);
  model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
  await expect(historyOf(model)).rejects.toMatchObject(refused);
  await run.detach();
  expect((await historyOf(model)).epoch).toHaveLength(3);
});
