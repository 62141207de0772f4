import { EXITS, FEATURE_MAPS, countMacsTo, viewModel } from '@espalier/core';
import type { Exits, Session } from '@espalier/core';
import { multiExit } from '@espalier/plugin-multi-exit';
import type { MultiExitOptions } from '@espalier/plugin-multi-exit';
import {
  agreement,
  finiteDifferences,
  onBackend,
  tinyCnn,
  tinyData,
  tinyMlp,
  tinyNoisyMlp,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { residualNet, sequenceNet } from './models.js';
import { observer, open } from './support.js';

beforeAll(() => onBackend('wasm'));

/** The exits of a run, and the shapes of their features. */
async function exitsWith(model: () => LayersModel, options: MultiExitOptions) {
  let exits!: Exits;
  const shapes: Record<string, number[]> = {};
  const look = observer((seen, ctx) => {
    exits = ctx.get(EXITS);
    const features = ctx.get(FEATURE_MAPS).features(seen);
    Object.entries(features).forEach(([name, { shape }]) => (shapes[name] = shape.slice(1)));
  });
  return withSession(open(model, [multiExit(options), look]), async (session) => {
    await session.fit({ epochs: 1 });
    return { exits, shapes, view: viewModel(session.model) };
  });
}

describe('placement', () => {
  test.each<[string, () => LayersModel, MultiExitOptions, string[]]>([
    ['names, in any order', residualNet, { at: ['block_2_out', 'stem'] }, ['stem', 'block_2_out']],
    ['one name', residualNet, { at: 'block_1_add' }, ['block_1_add']],
    ['a glob', residualNet, { at: 'block_*_out' }, ['block_1_out', 'block_2_out']],
    [
      'an expression',
      residualNet,
      { at: { regexp: '_[12]_conv$' } },
      ['block_1_conv', 'block_2_conv'],
    ],
    ['fractions: MLP', tinyNoisyMlp, {}, ['tanh']],
    ['fractions: 1-D', sequenceNet, { at: { fractions: [0.5] } }, ['conv_1']],
  ])('%s', async (_, model, options, layers) => {
    const { exits } = await exitsWith(model, options);
    expect(exits.layers.slice(0, -1)).toEqual(layers);
    const own = exits.layers.length - 1;
    expect(exits.names).toEqual([...layers.map((_, i) => `exit_${i + 1}`), 'logits']);
    expect(exits.layers[own]).toBe(viewModel(model()).layers.at(-2)!.name);
  });

  test('fractions take the last merge point that costs no more, never one inside a block', async () => {
    // A slow reference: all paths from the input, enumerated.
    const view = viewModel(residualNet());
    const paths = pathsTo('logits', new Map(view.layers.map((l) => [l.name, l.inbound])));
    const merging = view.layers.filter(({ name }) => paths.every((path) => path.includes(name)));
    expect(merging.map(({ name }) => name)).not.toContain('block_2_conv');
    for (const fraction of [0.15, 0.3, 0.5, 0.7, 0.9]) {
      const budget = fraction * countMacsTo(view, ['logits'])!;
      const wanted = merging
        .filter(({ name }) => countMacsTo(view, [name])! <= budget)
        .at(-1)!.name;
      const { exits } = await exitsWith(residualNet, { at: { fractions: [fraction] } });
      expect(exits.layers[0]).toBe(wanted);
    }
  });

  test('macs count everything up to an exit once, its branch included', async () => {
    const { exits, view } = await exitsWith(residualNet, { at: 'block_*_out' });
    const stem = 64 * 9 * 4;
    const block1 = 64 * 9 * 4 * 4;
    const block2 = 2 * 16 * 9 * 4 * 8;
    expect(exits.macs).toEqual([
      stem + block1 + 12,
      stem + block1 + block2 + 24,
      countMacsTo(view, ['logits']),
    ]);
  });
});

function pathsTo(name: string, inbound: ReadonlyMap<string, readonly string[]>): string[][] {
  const before = inbound.get(name)!;
  if (before.length === 0) return [[]];
  return before.flatMap((each) =>
    pathsTo(each, inbound).map((path) => (inbound.get(each)!.length ? [...path, each] : path)),
  );
}

describe('branches', () => {
  test('linear: pooled features, whatever their rank', async () => {
    const cnn = await exitsWith(tinyCnn, { at: ['stage1_relu'] });
    expect(cnn.shapes).toEqual({ exit_1: [4], logits: [8] });
    const mlp = await exitsWith(tinyMlp, { at: ['hidden'] });
    expect(mlp.shapes).toEqual({ exit_1: [8], logits: [8] });
    const sequence = await exitsWith(sequenceNet, { at: ['conv_1'] });
    expect(sequence.shapes).toEqual({ exit_1: [4], logits: [6] });
  });

  test('bottleneck: 1×1, k×k with stride k = ratio to the last stage, 1×1 to its width', async () => {
    const { shapes, view } = await exitsWith(tinyCnn, {
      at: ['stage1_relu', 'stage2_relu'],
      branch: 'bottleneck',
    });
    expect(shapes).toEqual({ exit_1: [8], exit_2: [8], logits: [8] });
    const shapeOf = (name: string) => view.layers.find((layer) => layer.name === name)!.outputShape;
    expect(shapeOf('exit_1_reduce')).toEqual([8, 8, 2]);
    expect(shapeOf('exit_1_stride')).toEqual([2, 2, 2]);
    const { epsilon, momentum } = view.layersModel.getLayer('exit_1_reduce_norm').getConfig();
    expect({ epsilon, momentum }).toEqual({ epsilon: 1e-5, momentum: 0.9 });
    expect(shapeOf('exit_2_stride')).toEqual([2, 2, 2]);
    expect(shapeOf('exit_2_expand')).toEqual([2, 2, 8]);
  });

  test('separable: halves down to the last stage, in its width', async () => {
    const { shapes, view } = await exitsWith(tinyCnn, {
      at: ['stage1_relu', 'stage2_relu'],
      branch: 'separable',
    });
    expect(shapes).toEqual({ exit_1: [8], exit_2: [8], logits: [8] });
    const names = view.layers.map(({ name }) => name);
    expect(names.filter((name) => /^exit_1_separable\d$/.test(name))).toHaveLength(2);
    expect(names.filter((name) => /^exit_2_separable\d$/.test(name))).toHaveLength(1);
  });
});

describe('the loss', () => {
  test('adds one cross-entropy per auxiliary exit, weighted by its schedule', async () => {
    const weights = [{ kind: 'linear', from: 1, to: 0.5, epochs: 2 } as const, 0.25];
    const seen: Record<string, number>[] = [];
    const look = observer(({ terms }) => {
      seen.push(Object.fromEntries(terms.all.map(({ name, weight }) => [name, weight])));
    });
    const plugins = [multiExit({ at: 'block_*_out', weights }), look];
    await withSession(open(residualNet, plugins), async (session) => {
      await session.fit({ epochs: 4 });
    });
    const byEpoch = [0, 3, 6, 9].map((step) => seen[step]);
    expect(byEpoch).toEqual(
      [1, 0.75, 0.5, 0.5].map((first) => ({
        'task/cross-entropy': 1,
        'multi-exit/exit_1': first,
        'multi-exit/exit_2': 0.25,
      })),
    );
  });

  test('matches a slow cross-entropy, with soft targets and example weights', async () => {
    const q = [
      [0.7, 0.2, 0.1],
      [0, 0.5, 0.5],
    ];
    const importance = [3, 1];
    let logits!: number[][];
    let term!: number;
    const look = observer(({ outputs, terms }) => {
      logits = outputs['exit_1']!.arraySync() as number[][];
      term = terms.get('multi-exit/exit_1').dataSync()[0]!;
    });
    await withSession(open(tinyMlp, [multiExit(), look]), async (session) => {
      const raw = {
        x: tf.tensor2d([
          [1, 2, -1, 0, 1, 0.5],
          [0, -1, 1, 2, 0, 1],
        ]),
        y: tf.tensor2d(q),
        weights: tf.tensor1d(importance),
      };
      const batch = await session.batch(raw, 'look');
      session.objective(batch).dispose();
      tf.dispose(raw);
    });
    const losses = logits.map((row, i) => {
      const sum = row.reduce((a, b) => a + Math.exp(b), 0);
      return -row.reduce((a, b, k) => a + q[i]![k]! * (b - Math.log(sum)), 0);
    });
    expect(term).toBeCloseTo((3 * losses[0]! + losses[1]!) / 4, 5);
  });

  const gradients = async (options: MultiExitOptions) =>
    withSession(open(tinyMlp, [multiExit(options)]), async (session) => {
      const raw = { x: tf.ones([4, 6]), y: tf.tensor1d([0, 1, 2, 0], 'int32') };
      const batch = await session.batch(raw, 'gradient');
      const values = session.parameters();
      const paths = Object.keys(values);
      const copies = paths.map((path) => tf.clone(values[path]!));
      const auxiliary = { terms: ({ owner }: { owner: string }) => owner === 'multi-exit' };
      const at = (...params: Tensor[]) =>
        session.objective(batch, {
          ...auxiliary,
          params: Object.fromEntries(paths.map((path, i) => [path, params[i]!])),
        });
      const numeric = finiteDifferences(at, copies);
      const { total, values: terms, gradients } = session.gradients(batch, auxiliary);
      const exact = paths.map(
        (path, i) =>
          (gradients[path]?.dataSync().slice() as Float32Array) ??
          new Float32Array(copies[i]!.size),
      );
      tf.dispose([raw, copies, total, [...terms], gradients]);
      return { paths, numeric, exact };
    });

  test('its gradient agrees with finite differences', async () => {
    const { numeric, exact } = await gradients({});
    const { cosine, relativeError } = agreement(exact, numeric);
    expect(cosine).toBeGreaterThan(0.9999);
    expect(relativeError).toBeLessThan(1e-2);
  });

  test('detached, it trains the branch and gives the backbone exactly nothing', async () => {
    const { paths, numeric, exact } = await gradients({ detach: true });
    const branch = paths.map((path) => path.startsWith('exit_1/'));
    const size = (i: number) => Math.max(...exact[i]!.map(Math.abs));
    branch.forEach((inside, i) => {
      if (inside) expect(size(i)).toBeGreaterThan(0);
      else expect(size(i)).toBe(0);
    });
    const inBranch = (each: readonly Float32Array[]) => each.filter((_, i) => branch[i]);
    expect(agreement(inBranch(exact), inBranch(numeric)).relativeError).toBeLessThan(1e-2);
  });
});

describe('evaluation and export', () => {
  test('metrics per exit and of the ensemble match a slow reference', async () => {
    const plugins = [multiExit({ at: 'block_*_out' })];
    await withSession(open(residualNet, plugins), async (session) => {
      await session.fit({ epochs: 2 });
      const metrics = await session.evaluate();
      const expected = await slowAccuracies(session);
      for (const [name, value] of Object.entries(expected))
        expect(metrics[name]).toBeCloseTo(value, 6);
    });
  });

  test('the exported model is the user’s own, or has the exits asked for; both reload', async () => {
    const plugins = [multiExit({ at: 'block_*_out', branch: 'bottleneck', detach: true })];
    await withSession(open(residualNet, plugins), async (session) => {
      await session.fit({ epochs: 1 });
      const x = tf.randomNormal([5, 8, 8, 1], 0, 1, 'float32', 1);
      const all = await session.predict(x);
      const own = await reloaded(session.export());
      expect(own.layers.map(({ name }) => name)).toEqual(
        residualNet().layers.map(({ name }) => name),
      );
      expectEqual(own.predict(x), all['logits']!);
      const early = await reloaded(session.export({ outputs: ['exit_2', 'logits'] }));
      const outputs = early.predict(x) as Tensor[];
      expect(early.outputs.map(({ shape }) => shape)).toEqual([
        [null, 3],
        [null, 3],
      ]);
      expect(early.layers.some(({ name }) => name.startsWith('exit_1'))).toBe(false);
      expectEqual(outputs[0]!, all['logits']!);
      expectEqual(outputs[1]!, all['exit_2']!);
    });
  });
});

async function slowAccuracies(session: Session): Promise<Record<string, number>> {
  const { x, y } = tinyData({ shape: [8, 8, 1], seed: 1 });
  const input = tf.tensor(x.data, [...x.shape]);
  const outputs = await session.predict(input);
  const logits = ['exit_1', 'exit_2', 'logits'].map(
    (name) => outputs[name]!.arraySync() as number[][],
  );
  const softmax = (row: number[]) => {
    const powers = row.map(Math.exp);
    return powers.map((power) => power / powers.reduce((a, b) => a + b));
  };
  const hits = (rows: number[][]) =>
    rows.filter((row, i) => row.indexOf(Math.max(...row)) === y.data[i]).length / rows.length;
  const mean = logits[0]!.map((_, i) => {
    const each = logits.map((rows) => softmax(rows[i]!));
    return [0, 1, 2].map((k) => each[0]![k]! + each[1]![k]! + each[2]![k]!);
  });
  tf.dispose([input, outputs]);
  return {
    'accuracy/exit_1': hits(logits[0]!),
    'accuracy/exit_2': hits(logits[1]!),
    accuracy: hits(logits[2]!),
    'accuracy/ensemble': hits(mean),
  };
}

/** Through the format of tfjs and back, as another program would load it. */
async function reloaded(model: LayersModel): Promise<LayersModel> {
  let artifacts!: tf.io.ModelArtifacts;
  await model.save(
    tf.io.withSaveHandler(async (saved) => {
      artifacts = saved;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    }),
  );
  model.dispose();
  return tfl.loadLayersModel(tf.io.fromMemory(artifacts));
}

function expectEqual(actual: Tensor | Tensor[], expected: Tensor): void {
  expect(Array.from((actual as Tensor).dataSync())).toEqual(Array.from(expected.dataSync()));
}
