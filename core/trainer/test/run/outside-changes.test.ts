import { adam, disposeModel, fromTfOptimizer, memoryStore, sgd } from '@espalier/core';
import type { RawBatch, Session, StructureChange } from '@espalier/core';
import {
  firstDifference,
  liveTensors,
  onBackend,
  tinyData,
  tinyMlp,
  tinyNoisyMlp,
  tinySource,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, Sequential, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { changing, open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

type Layer = tfl.layers.Layer;
const { layers } = tfl;

function warningsOf(session: Session): string[] {
  const warnings: string[] = [];
  session.telemetry.on('warning', ({ message }) => warnings.push(message));
  return warnings;
}

function batch(size = 4): RawBatch {
  const { x, y } = tinyData({ examples: size });
  return { x: tf.tensor(x.data, [size, 6]), y: tf.tensor(y.data, [size], 'int32') };
}

async function step(session: Session): Promise<void> {
  const raw = batch();
  try {
    await session.step(raw);
  } finally {
    tf.dispose([raw.x, raw.y] as Tensor[]);
  }
}

/** Paths that a step moves. */
async function moved(session: Session): Promise<string[]> {
  const before = valuesOf(session.parameters());
  await step(session);
  const after = valuesOf(session.parameters());
  return [...after.keys()].filter((path) =>
    firstDifference(new Map([[path, before.get(path)!]]), new Map([[path, after.get(path)!]])),
  );
}

type Switch = { trainable: boolean };

describe('trainable that is set between two steps takes effect at the next one:', () => {
  const chain = (...made: Layer[]) => {
    const input = tfl.input({ shape: [6] });
    const end = made.reduce((tensor, layer) => layer.apply(tensor) as SymbolicTensor, input);
    const logits = layers.dense({ units: 3, name: 'logits' }).apply(end) as SymbolicTensor;
    return tfl.model({ inputs: input, outputs: logits });
  };
  const dense = () => layers.dense({ units: 2, inputShape: [6] });
  const nest = (layer: Layer) => tfl.sequential({ layers: [layer] });
  const rows = () => layers.reshape({ targetShape: [3, 2] });
  const cells = () => [layers.gruCell({ units: 2 }), layers.simpleRNNCell({ units: 2 })];
  const rnn = (args: object) => layers.rnn(args as never) as Layer;
  const kernelOf = ({ weights }: Layer) =>
    weights.find(({ originalName }) => originalName.endsWith('kernel')) as unknown as Switch;
  const inner = (layer: Layer, key: string) => (layer as unknown as Record<string, Layer>)[key]!;
  const last = (layer: Layer) => (layer as LayersModel).layers.at(-1)!;

  /** A model, and what is frozen in it: of its second layer, or of the third behind a reshape. */
  const CASES: readonly (readonly [string, () => LayersModel, (base: Layer) => Switch])[] = [
    ['a layer', () => chain(dense()), (base) => base],
    ['a layer with statistics', () => chain(layers.batchNormalization()), (base) => base],
    ['a weight', () => chain(dense()), kernelOf],
    ['a nested model', () => chain(nest(dense())), (base) => base],
    ['a layer of a nested model', () => chain(nest(dense())), last],
    ['a model that nests one', () => chain(nest(nest(dense()))), (base) => base],
    [
      'a wrapper',
      () =>
        chain(
          rows(),
          layers.timeDistributed({ layer: layers.dense({ units: 2 }) }),
          layers.flatten(),
        ),
      (base) => base,
    ],
    [
      'the layer of a wrapper',
      () =>
        chain(
          rows(),
          layers.timeDistributed({ layer: layers.dense({ units: 2 }) }),
          layers.flatten(),
        ),
      (base) => inner(base, 'layer'),
    ],
    [
      'a direction',
      () =>
        chain(
          rows(),
          layers.bidirectional({ layer: layers.gru({ units: 2 }) as never, mergeMode: 'concat' }),
        ),
      (base) => inner(base, 'forwardLayer'),
    ],
    [
      'both directions',
      () =>
        chain(
          rows(),
          layers.bidirectional({ layer: layers.lstm({ units: 2 }) as never, mergeMode: 'concat' }),
        ),
      (base) => base,
    ],
    ['an RNN', () => chain(rows(), layers.gru({ units: 2 })), (base) => base],
    ['a cell', () => chain(rows(), rnn({ cell: cells()[0] })), (base) => inner(base, 'cell')],
    [
      'a cell of several',
      () => chain(rows(), rnn({ cell: layers.stackedRNNCells({ cells: cells() }) })),
      (base) => (inner(base, 'cell') as unknown as { cells: Layer[] }).cells[1]!,
    ],
  ];
  const baseOf = ({ layers: [, first, second] }: LayersModel) =>
    first!.getClassName() === 'Reshape' ? second! : first!;
  const config = { train: undefined, optimizer: adam({ learningRate: 0.1 }) };

  test.each(CASES)('%s', async (_name, make, of) => {
    const [model, again] = [make(), make()];
    const changes: StructureChange[] = [];
    const observing = plugin('observing', {
      apply: (ctx) => ctx.hooks.structureChange.tap((change) => void changes.push(change)),
    });
    const plugins = [observing];
    const store = memoryStore();
    const switched = of(baseOf(model));
    const due = await withSession(open({ ...config, model, plugins }), async (session) => {
      const all = await moved(session);
      switched.trainable = false;
      const some = await moved(session);
      const frozen = all.filter((path) => !some.includes(path) && !path.includes('moving'));
      expect(frozen.length).toBeGreaterThan(0);
      expect(some).toContain('logits/kernel');
      switched.trainable = true;
      expect(await moved(session)).toEqual(all);
      expect(changes).toMatchObject([
        { frozen, unfrozen: [] },
        { frozen: [], unfrozen: frozen },
      ]);
      switched.trainable = false;
      await step(session);
      await session.save(store);
      await step(session);
      return { all, values: valuesOf(session.parameters()) };
    });
    await withSession(open({ ...config, model: again, plugins }), async (session) => {
      const warnings = warningsOf(session);
      await session.load({ store });
      expect(warnings).toEqual([expect.stringContaining('the checkpoint did not train')]);
      await step(session);
      expect(firstDifference(valuesOf(session.parameters()), due.values)).toBeUndefined();
      of(baseOf(again)).trainable = true;
      expect(await moved(session)).toEqual(due.all);
    });
    [model, again].forEach(disposeModel);
  });

  test.each(CASES)('%s, in a model that plugins edited', async (_name, make, of) => {
    const model = make();
    const warned: string[] = [];
    of(baseOf(model)).trainable = false;
    const plugins = [changing('changing', 'logits')];
    await withSession(open({ ...config, model, plugins }), async (session) => {
      session.telemetry.on('warning', ({ message }) => warned.push(message));
      const some = await moved(session);
      of(baseOf(model)).trainable = true;
      const all = await moved(session);
      expect(all.length).toBeGreaterThan(some.length);
      of(baseOf(session.model)).trainable = false;
      expect(await moved(session)).toEqual(some);
      of(baseOf(session.model)).trainable = true;
      expect(await moved(session)).toEqual(all);
      expect(warned).toEqual([]);
    });
    disposeModel(model);
  });

  test('fresh slots for what trains anew, in its group; the others keep theirs', async () => {
    const model = tinyMlp();
    const [hidden] = model.layers;
    hidden!.trainable = false;
    const grouping = plugin('grouping', {
      apply: (ctx) => ctx.group('base', (path) => path.startsWith('hidden/')),
    });
    const momentum = (learningRate: number) => sgd({ learningRate, momentum: 0.9 });
    const optimizer = { base: momentum(0.01), model: momentum(0.1) };
    const config = { model, plugins: [grouping], train: undefined, optimizer };
    await withSession(open(config), async (session) => {
      await step(session);
      await step(session);
      hidden!.trainable = true;
      const raw = batch();
      const { gradients, ...rest } = session.gradients(await session.batch(raw, 'mine'));
      const before = valuesOf(session.parameters());
      await session.step(raw);
      const after = valuesOf(session.parameters());
      const change = (path: string) => before.get(path)![0]! - after.get(path)![0]!;
      const first = (path: string) => gradients[path]!.dataSync()[0]!;
      expect(change('hidden/kernel')).toBeCloseTo(0.01 * first('hidden/kernel'), 6);
      expect(Math.abs(change('logits/kernel') - 0.1 * first('logits/kernel'))).toBeGreaterThan(
        1e-4,
      );
      tf.dispose([
        raw.x,
        raw.y,
        rest.total,
        ...rest.values,
        ...Object.values(gradients),
      ] as Tensor[]);
    });
    disposeModel(model);
  });

  test('an optimizer whose state cannot be told apart says that it starts anew', async () => {
    const model = tinyMlp();
    const optimizer = fromTfOptimizer(() => tf.train.momentum(0.1, 0.9));
    await withSession(open({ model, train: undefined, optimizer }), async (session) => {
      const warnings = warningsOf(session);
      model.layers[0]!.trainable = false;
      await step(session);
      expect(warnings).toEqual([expect.stringContaining("'tfOptimizer' keeps state")]);
    });
    disposeModel(model);
  });

  test('all frozen is refused, and can be mended', async () => {
    const model = tinyMlp();
    await withSession(open({ model, train: undefined }), async (session) => {
      model.trainable = false;
      expect((await refusal(() => step(session))).code).toBe('model/frozen');
      model.trainable = true;
      expect(await moved(session)).toHaveLength(4);
    });
    disposeModel(model);
  });
});

const USES: Readonly<Record<string, (session: Session, raw: RawBatch) => unknown>> = {
  fit: (session) => session.fit({ epochs: 1 }),
  step: (session, raw) => session.step(raw),
  evaluate: (session) => session.evaluate(tinySource({ batchSize: 6 })),
  predict: async (session, { x }) => tf.dispose(await session.predict(x)),
  save: (session) => session.save(memoryStore()),
  transform: (session) => session.transform(),
  objective: async (session, raw) => session.objective(await session.batch(raw, 'b')).dispose(),
  export: (session) => disposeModel(session.export()),
  load: (session) => session.load({ store: memoryStore() }),
  parameters: (session) => session.parameters(),
  inspect: (session) => session.inspect(),
};

describe('values from outside are taken over with one warning:', () => {
  const zero = (model: LayersModel) =>
    tf.tidy(() => model.layers[0]!.setWeights([tf.zeros([6, 8]), tf.zeros([8])]));

  test.each(Object.entries(USES))('seen by %s', async (_name, use) => {
    const model = tinyMlp();
    const raw = batch();
    await withSession(open({ model }), async (session) => {
      await session.step(raw);
      const warnings = warningsOf(session);
      zero(model);
      const live = liveTensors();
      await use(session, raw);
      await use(session, raw);
      expect(warnings).toEqual([
        expect.stringMatching(/'hidden\/kernel', 'hidden\/bias' were set outside/),
      ]);
      expect(liveTensors()).toBe(live);
    });
    tf.dispose([raw.x, raw.y] as Tensor[]);
    disposeModel(model);
  });

  test.each<[string, (model: LayersModel) => unknown]>([
    ['setWeights', zero],
    ['variable.assign', (model) => assignOnes(model)],
    [
      'LayerVariable.write',
      (model) => tf.tidy(() => void model.weights[0]!.write(tf.ones([6, 8]))),
    ],
    [
      'model.fit',
      async (model) => {
        model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
        const [x, y] = [tf.ones([4, 6]), tf.ones([4, 3])];
        await model.fit(x, y, { epochs: 1, verbose: 0 });
        tf.dispose([x, y]);
      },
    ],
  ])('by %s; the step begins there', async (_name, change) => {
    const [model, twin] = [tinyMlp(), tinyMlp()];
    const config = { train: undefined, optimizer: sgd({ learningRate: 0.1 }) };
    await withSession(open({ ...config, model }), async (session) => {
      const warnings = warningsOf(session);
      await step(session);
      await change(model);
      twin.setWeights(model.getWeights());
      await step(session);
      expect(warnings).toHaveLength(1);
      await withSession(open({ ...config, model: twin }), (other) => step(other));
      const values = (each: LayersModel) =>
        valuesOf(Object.fromEntries(each.getWeights().map((weight, i) => [String(i), weight])));
      expect(firstDifference(values(model), values(twin))).toBeUndefined();
    });
    [model, twin].forEach(disposeModel);
  });

  const assignOnes = (model: LayersModel) =>
    tf.tidy(() => (model.weights[0]!.read() as tf.Variable).assign(tf.ones([6, 8])));

  test('by another session that trains the same layers, said once', async () => {
    const model = tinyMlp();
    const config = { model, train: undefined };
    await withSession(open(config), (first) =>
      withSession(open(config), async (second) => {
        const warnings = warningsOf(first);
        for (let i = 0; i < 3; i++) {
          await step(second);
          await step(first);
        }
        expect(warnings).toEqual([expect.stringContaining('another session')]);
      }),
    );
    disposeModel(model);
  });

  test('while a fit is under way too, and not what the session itself and its plugins write', async () => {
    const model = tinyNoisyMlp();
    const assigning = plugin('assigning', {
      effects: { 'weights:*': 'modify', loss: 'add' },
      apply: (ctx) => {
        ctx.hooks.beforeStep.tap(({ microBatches: window }) => {
          ctx.objective(window[0]!, { state: 'update' }).dispose();
          (ctx as never as { assign(values: unknown): void }).assign(ctx.parameters());
        });
      },
    });
    await withSession(open({ model, plugins: [assigning] }), async (session) => {
      const warnings = warningsOf(session);
      await session.fit({ epochs: 1 });
      expect(warnings).toEqual([]);
      session.telemetry.on('epochStart', () => void zero(model));
      await session.fit({ epochs: 1 });
      expect(warnings).toHaveLength(1);
    });
    disposeModel(model);
  });
});

describe('a structure from outside is refused by name:', () => {
  const extra = () => layers.dense({ units: 3, name: 'extra' });
  const CHANGES: Readonly<Record<string, [(model: Sequential) => unknown, string, RegExp]>> = {
    'a layer added': [(model) => model.add(extra()), 'model/changed', /'hidden', 'logits'/],
    'a layer popped': [(model) => model.pop(), 'model/changed', /'hidden', 'logits'/],
    'a layer added to a nested model': [
      (model) => (model.layers[0] as Sequential).add(extra()),
      'model/changed',
      /structure of/,
    ],
    'weights of another shape': [
      (model) => {
        const kernel = tfl.input({ shape: [4] });
        const other = layers.dense({ units: 2 });
        other.apply(kernel);
        model.layers.at(-1)!.trainableWeights = other.trainableWeights;
      },
      'model/changed',
      /trainableWeights/,
    ],
    'a model disposed': [(model) => model.dispose(), 'model/disposed', /'.+' was disposed outside/],
    'a layer disposed': [
      (model) => model.layers.at(-1)!.weights.forEach((weight) => weight.dispose()),
      'model/disposed',
      /'logits\/kernel' was disposed outside/,
    ],
  };
  const nesting = () =>
    tfl.sequential({
      layers: [
        tfl.sequential({ layers: [layers.dense({ units: 4, inputShape: [6] })] }),
        layers.dense({ units: 3, name: 'logits' }),
      ],
    });

  test.each(Object.entries(CHANGES))('%s', async (name, [change, code, text]) => {
    const model = name.includes('nested') ? nesting() : (tinyMlp() as Sequential);
    const raw = batch();
    await withSession(open({ model }), async (session) => {
      await session.step(raw);
      change(model);
      for (const use of Object.values(USES)) {
        const error = await refusal(() => use(session, raw));
        expect(error.code).toBe(code);
        expect(error.message).toMatch(text);
      }
    });
    tf.dispose([raw.x, raw.y] as Tensor[]);
    disposeModel(model);
  });

  test('of a model that is a copy is nobody’s concern', async () => {
    const model = tinyMlp() as Sequential;
    const plugins = [changing('changing', 'logits')];
    await withSession(open({ model, plugins, train: undefined }), async (session) => {
      model.pop();
      disposeModel(model);
      await step(session);
    });
  });
});
