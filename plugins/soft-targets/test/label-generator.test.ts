import { EXITS, memoryStore, OUTER_START, sgd } from '@espalier/core';
import type {
  ObjectiveOptions,
  Plugin,
  PluginContext,
  Session,
  SessionConfig,
  Term,
} from '@espalier/core';
import { exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import { labelGenerator } from '@espalier/plugin-soft-targets';
import type { LabelGeneratorOptions } from '@espalier/plugin-soft-targets';
import {
  agreement,
  directional,
  firstDifference,
  onBackend,
  tinyCnn,
  tinyMlp,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  batchFor,
  disposeGradients,
  moved,
  oddCnn,
  onlooker,
  open,
  sequenceNet,
} from './support.js';

beforeAll(() => onBackend('wasm'));

const byLabels = ({ owner }: Pick<Term, 'owner'>) => owner === 'label-generator';
const byDistillation = ({ owner }: Pick<Term, 'owner'>) => owner === 'exit-distillation';
const ofGenerator = (path: string) => path.startsWith('label-generator:');

const maps = multiExit({ at: ['stage1', 'stage2', 'stage3'] });
const withGenerator = (options: LabelGeneratorOptions = {}, exits: Plugin = maps) => [
  exits,
  labelGenerator({ channels: 4, ...options }),
  exitDistillation(),
];

/** Values of the generator's parameters, without moving statistics. */
function trainedParts(session: Session) {
  const trained = Object.entries(session.parameters()).filter(
    ([path]) => ofGenerator(path) && !path.includes('moving_'),
  );
  return valuesOf(Object.fromEntries(trained));
}

/** Paths that some terms move. */
async function movedBy(
  terms: (term: Pick<Term, 'owner'>) => boolean,
  plugins: readonly Plugin[],
  model = oddCnn,
): Promise<string[]> {
  return withSession(open(model, plugins), async (session) => {
    const gradients = session.gradients(await batchFor(session, model), { terms });
    const paths = moved(gradients);
    disposeGradients(gradients);
    return paths;
  });
}

/** The soft targets of one evaluation on 3 examples, with all parameters. */
async function targetsOf(model: () => LayersModel, plugins: readonly Plugin[], examples = 3) {
  const seen: Record<string, number[][]> = {};
  const features: Record<string, Tensor> = {};
  const look = onlooker((targets, context) => {
    for (const [exit, logits] of Object.entries(targets)) seen[exit] = logits.arraySync();
    for (const [layer, map] of Object.entries(context.features))
      features[layer] = tf.keep(tf.clone(map));
  });
  return withSession(open(model, [...plugins, look]), async (session) => {
    session.objective(await batchFor(session, model, examples)).dispose();
    const parameters = valuesOf(session.parameters());
    const values = Object.fromEntries(
      Object.entries(features).map(([layer, map]) => [layer, map.arraySync()]),
    );
    tf.dispose(features);
    return { targets: seen, features: values, parameters };
  });
}

describe('what it makes', () => {
  test('is logits for every exit but the last', async () => {
    const { targets } = await targetsOf(oddCnn, withGenerator());
    expect(Object.keys(targets)).toEqual(['exit_1', 'exit_2', 'exit_3']);
    for (const logits of Object.values(targets)) {
      expect(logits.map((row) => row.length)).toEqual([3, 3, 3]);
    }
  });

  test('starts from the deepest map, before flattening, and fuses from the top down', async () => {
    const design = { block: 'none', upsample: 'nearest' } as const;
    const { targets, features, parameters } = await targetsOf(oddCnn, withGenerator(design));
    type FeatureMap = number[][][];
    const affine = (x: number[], name: string) => {
      const [kernel, bias] = ['kernel', 'bias'].map((w) =>
        parameters.get(`label-generator:${name}/${w}`)!,
      );
      return Array.from(bias!, (b, k) =>
        x.reduce((sum, each, c) => sum + each * kernel![c * bias!.length + k]!, b),
      );
    };
    const plus = (a: number[], b: number[]) => a.map((each, k) => each + b[k]!);
    for (let example = 0; example < 3; example++) {
      const map = (layer: string) => (features[layer] as FeatureMap[])[example]!;
      const lateral = (layer: string, name: string): FeatureMap =>
        map(layer).map((row) => row.map((x) => affine(x, name)));
      let above = lateral('stage4', 'lateral_4');
      for (const i of [3, 2, 1]) {
        const here = lateral(`stage${i}`, `lateral_${i}`);
        const [h, w] = [here.length, here[0]!.length];
        const [H, W] = [above.length, above[0]!.length];
        const from = above;
        above = here.map((row, y) =>
          row.map((x, z) => plus(x, from[Math.floor((y * H) / h)]![Math.floor((z * W) / w)]!)),
        );
        const mean = above
          .flat()
          .reduce((sum, x) => plus(sum, x))
          .map((sum) => sum / (h * w));
        affine(mean, `head_${i}`).forEach((expected, k) =>
          expect(targets[`exit_${i}`]![example]![k]).toBeCloseTo(expected, 4),
        );
      }
    }
  });

  const convolutions = multiExit({ at: ['conv_1'] });
  const vectors = multiExit({ at: ['hidden'] });
  test.each<[string, LabelGeneratorOptions, () => LayersModel, Plugin]>([
    ['maps', {}, oddCnn, maps],
    ['maps, all other options', OTHER, oddCnn, maps],
    ['one map twice', {}, oddCnn, multiExit({ at: ['stage2', 'stage4'] })],
    ['sequences, two classes', {}, sequenceNet, convolutions],
    ['sequences, all other options', OTHER, sequenceNet, convolutions],
    ['vectors', {}, tinyMlp, vectors],
    ['vectors, all other options', OTHER, tinyMlp, vectors],
    ['concatenation without blocks', { merge: 'concat', block: 'none' }, oddCnn, maps],
  ])('is trained by the labels in every part: %s', async (_, options, model, exits) => {
    const plugins = withGenerator(options, exits);
    const parts = await withSession(open(model, plugins), (session) =>
      Promise.resolve([...trainedParts(session).keys()]),
    );
    expect(await movedBy(byLabels, plugins, model)).toEqual(parts.sort());
  });

  test('exists for a batch of one', async () => {
    const { targets } = await targetsOf(tinyMlp, withGenerator({}, vectors), 1);
    expect(targets['exit_1']!.flat().every(Number.isFinite)).toBe(true);
  });
});

const OTHER: LabelGeneratorOptions = {
  upsample: 'bilinear',
  merge: 'concat',
  lateral: 'normalized',
  head: 'hidden',
};

describe('what trains it', () => {
  test('the gradients of its term agree with finite differences', () =>
    withSession(
      open(oddCnn, withGenerator({ upsample: 'bilinear', lateral: 'normalized', detach: false })),
      async (session) => {
        const batch = await batchFor(session, oddCnn);
        const gradients = session.gradients(batch, { terms: byLabels });
        const paths = Object.keys(gradients.gradients);
        expect(paths.filter(ofGenerator).length).toBeGreaterThan(10);
        const at = (...xs: Tensor[]) => {
          const params = Object.fromEntries(paths.map((path, i) => [path, xs[i]!]));
          return session.objective(batch, { terms: byLabels, params });
        };
        const parameters = session.parameters();
        const xs = paths.map((path) => parameters[path]!);
        const pairs = [0, 1, 2, 3].map((seed) =>
          directional(at, xs, Object.values(gradients.gradients), { seed }),
        );
        const [numeric, analytic] = [0, 1].map((k) => pairs.map((pair) => pair[k]!));
        expect(agreement([numeric!], [analytic!]).relativeError).toBeLessThan(2e-2);
        disposeGradients(gradients);
      },
    ));

  test('labels move it alone, and with detach: false what is behind it', async () => {
    const [alone, through] = [
      await movedBy(byLabels, withGenerator()),
      await movedBy(byLabels, withGenerator({ detach: false })),
    ];
    expect(alone.filter((path) => !ofGenerator(path))).toEqual([]);
    const backbone = ['stage1', 'stage2', 'stage3', 'stage4'].flatMap((layer) => [
      `${layer}/bias`,
      `${layer}/kernel`,
    ]);
    expect(through.filter((path) => !ofGenerator(path))).toEqual(backbone);
  });

  test('the divergence moves students, never the generator', async () => {
    const paths = await movedBy(byDistillation, withGenerator({ detach: false }));
    expect(paths).toContain('exit_1/kernel');
    expect(paths.filter(ofGenerator)).toEqual([]);
  });

  test('its term falls', () =>
    withSession(
      open(tinyCnn, withGenerator({ learningRate: 0.02 }, multiExit({ at: 'stage1_relu' })), {
        optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }),
      }),
      async (session) => {
        const { history } = await session.fit({ epochs: 8 });
        const losses = history.map(({ metrics }) => metrics['loss/label-generator/exit_1']!);
        expect(losses.at(-1)).toBeLessThan(0.5 * losses[0]!);
      },
    ));

  const termsAndWeights = async (
    labelWeight: LabelGeneratorOptions['labelWeight'],
    epochs: number,
  ) => {
    const names = new Set<string>();
    const look = onlooker((_, { terms, clock }) => {
      terms.all
        .filter(byLabels)
        .forEach(({ name, weight }) => names.add(`${clock.step} ${name} ${weight}`));
    });
    const decaying = sgd({ learningRate: 0.1, momentum: 0.9, weightDecay: 0.1 });
    const plugins = [...withGenerator({ labelWeight }, multiExit({ at: ['hidden'] })), look];
    return withSession(open(tinyMlp, plugins, { optimizer: decaying }), async (session) => {
      await session.fit({ epochs });
      return { terms: [...names], values: trainedParts(session) };
    });
  };

  test('labels count as long as they are said to, and nothing moves it afterwards', async () => {
    const warmUp = { weight: 0.5, steps: 3 };
    const [first, more] = [await termsAndWeights(warmUp, 1), await termsAndWeights(warmUp, 3)];
    const terms = [0, 1, 2].map((step) => `${step} label-generator/exit_1 0.5`);
    expect(first.terms).toEqual(terms);
    expect(more.terms).toEqual(terms);
    expect(firstDifference(first.values, more.values)).toBeUndefined();
    const other = await termsAndWeights({ weight: 0.5 }, 3);
    expect(other.terms).toHaveLength(9);
    expect(firstDifference(more.values, other.values)).toBeDefined();
  });

  test('without labels there is no term, and it stays as it was made', async () => {
    const [none, never] = [await termsAndWeights(0, 1), await termsAndWeights({ weight: 0 }, 2)];
    expect([...none.terms, ...never.terms]).toEqual([]);
    expect(firstDifference(none.values, never.values)).toBeUndefined();
  });
});

describe('in the run', () => {
  test('what stands in for it reaches the divergence, and can be differentiated by', () =>
    withSession(open(oddCnn, withGenerator({ labelWeight: 0 })), async (session) => {
      const batch = await batchFor(session, oddCnn);
      const shapes: Record<string, number[]> = {};
      const loss = (head: Tensor) => {
        const networks: ObjectiveOptions['networks'] = ({ plugin, inputs, run }) => {
          const made = run(inputs);
          Object.entries(made).forEach(
            ([name, { shape }]) => (shapes[`${plugin} ${name}`] = shape),
          );
          return { ...made, head_2: head };
        };
        return session.objective(batch, { networks, terms: byDistillation });
      };
      const head = tf.tensor2d([1, 0, -1, 0, 2, 0, 1, 1, 0], [3, 3]);
      const gradient = tf.grad(loss as (x: Tensor) => Scalar)(head);
      expect(shapes).toEqual({
        'label-generator head_1': [3, 3],
        'label-generator head_2': [3, 3],
        'label-generator head_3': [3, 3],
      });
      const [numeric, analytic] = directional(loss, [head], [gradient], { step: 0.1 });
      expect(Math.abs(analytic)).toBeGreaterThan(1e-4);
      expect(numeric / analytic).toBeCloseTo(1, 1);
      tf.dispose([head, gradient]);
    }));

  test('is not exported', () =>
    withSession(open(oddCnn, withGenerator()), async (session) => {
      await session.fit({ epochs: 1 });
      const model = session.export();
      const own = oddCnn();
      expect(model.weights.map(({ shape }) => shape)).toEqual(
        own.weights.map(({ shape }) => shape),
      );
      const x = tf.randomNormal([2, 9, 7, 1], 0, 1, 'float32', 1);
      const expected = (await session.predict(x))['logits']!;
      const actual = model.predict(x) as Tensor;
      expect(actual.dataSync()).toEqual(expected.dataSync());
      tf.dispose([x, expected, actual]);
      [model, own].forEach((each) => each.dispose());
    }));

  test('trains in a group of its own', () => {
    const still = { 'label-generator': sgd({ learningRate: 1e-30 }) };
    const optimizer = { model: sgd({ learningRate: 0.1 }), ...still };
    return withSession(open(oddCnn, withGenerator(), { optimizer }), async (session) => {
      const before = trainedParts(session);
      await session.fit({ epochs: 1 });
      const after = trainedParts(session);
      expect(before.size).toBeGreaterThan(10);
      for (const [path, values] of before) {
        values.forEach((value, i) => expect(after.get(path)![i]).toBeCloseTo(value, 20));
      }
    });
  });
});

describe('refuses', () => {
  const refusal = (model: () => LayersModel, plugins: readonly Plugin[]) =>
    expect(open(model, plugins)).rejects;

  test('to run without exits', () =>
    refusal(tinyMlp, [labelGenerator()]).toThrow(/nothing in this run provides 'exits'/));

  test('a network whose only exit is its last', () =>
    refusal(tinyMlp, [onlyTheLast(), labelGenerator()]).toThrow(
      /no auxiliary exit.*label-generator\/no-exits/,
    ));

  test('exits on features of different kinds', () =>
    refusal(oddCnn, withGenerator({}, multiExit({ at: ['stage1', 'hidden'] }))).toThrow(
      /'stage1' gives \[batch, 9, 7, 4\], 'hidden' \[batch, 6\].*label-generator\/mixed-features/,
    ));

  test('maps of unknown size', () =>
    refusal(anySizeCnn, withGenerator({}, multiExit({ at: ['stage1'] }))).toThrow(
      /features of 'stage1'.*of known size.*inputShape without null.*label-generator\/feature-shape/s,
    ));

  test('options out of range', () => {
    expect(() => labelGenerator({ channels: 0 })).toThrow(/channels/);
    expect(() => labelGenerator({ labelWeight: { step: 3 } as never })).toThrow(
      /unknown option 'labelWeight.step'. Did you mean 'steps'\?/,
    );
  });
});

function onlyTheLast(): Plugin {
  const provider = onlooker(() => undefined);
  return {
    ...provider,
    apply: (ctx) =>
      ctx.provide(EXITS, () => ({ names: ['logits'], layers: ['hidden'], macs: [1] })),
  };
}

function anySizeCnn(): LayersModel {
  const conv = { filters: 2, kernelSize: 3 };
  return tfl.sequential({
    layers: [
      tfl.layers.conv2d({ name: 'stage1', ...conv, inputShape: [null, null, 1] }),
      tfl.layers.conv2d({ name: 'stage2', ...conv }),
      tfl.layers.globalAveragePooling2d({ name: 'pool' }),
      tfl.layers.dense({ name: 'logits', units: 3 }),
    ],
  });
}

describe('its warm-up', () => {
  /** Sees, at each step, how much labels count and whether an outer loss may begin. */
  const follow = (seen: { step: number; weight: number; ready: boolean }[]): Plugin => {
    const plugin = onlooker(() => undefined);
    return {
      ...plugin,
      apply: (ctx) => {
        (ctx as unknown as PluginContext<{ loss: 'add' }>).hooks.loss.tap(({ terms, clock }) => {
          const weight = terms.all.find(byLabels)?.weight ?? 0;
          seen.push({ step: clock.step, weight, ready: ctx.get(OUTER_START).ready });
        });
      },
    };
  };

  const run = async (
    labelWeight: LabelGeneratorOptions['labelWeight'],
    epochs: number,
    more: Partial<SessionConfig> = {},
    load = false,
  ) => {
    const seen: { step: number; weight: number; ready: boolean }[] = [];
    const warnings: string[] = [];
    const exits = multiExit({ at: ['hidden'] });
    const plugins = [...withGenerator({ labelWeight }, exits), follow(seen)];
    const history = await withSession(open(tinyMlp, plugins, more), async (session) => {
      session.telemetry.on('warning', ({ message }) => void warnings.push(message));
      if (load) await session.load();
      return (await session.fit({ untilEpoch: epochs })).history;
    });
    return { seen, warnings: warnings.filter((each) => each.includes('warm-up')), history };
  };

  test.each<[LabelGeneratorOptions['labelWeight'], number]>([
    [{ weight: 0.5, steps: 4, then: 0.1 }, 4],
    [{ weight: 0.5, epochs: 2, then: 0.1 }, 6],
  ])('%o ends after %d steps, and labels count for less', async (labelWeight, steps) => {
    const { seen, warnings } = await run(labelWeight, 3);
    expect(seen.map(({ weight }) => weight)).toEqual(
      seen.map(({ step }) => (step < steps ? 0.5 : 0.1)),
    );
    expect(seen.map(({ ready }) => ready)).toEqual(seen.map(({ step }) => step >= steps));
    expect(warnings).toEqual([]);
  });

  test.each<[LabelGeneratorOptions['labelWeight']]>([[0.5], [{ weight: 0.5 }], [0]])(
    'is none at all with %o',
    async (labelWeight) => {
      const { seen, warnings } = await run(labelWeight, 1);
      expect(seen.every(({ ready }) => ready)).toBe(true);
      expect(new Set(seen.map(({ weight }) => weight)).size).toBe(1);
      expect(warnings).toEqual([]);
    },
  );

  const better = { until: 'better', then: 0.25 } as const;

  test('ends with the first epoch in which targets are right more often than the exit', async () => {
    const { seen, history, warnings } = await run({ ...better, latest: 9 }, 9, slow);
    const [targets, exit] = ['accuracy', 'exit-accuracy'].map((name) =>
      history.map(({ metrics }) => metrics[`label-generator/exit_1/${name}`]),
    ) as [number[], number[]];
    const ended = history.findIndex((_, epoch) => targets[epoch]! > exit[epoch]!);
    expect(ended).toBeGreaterThanOrEqual(0);
    expect(targets[ended + 1]).toBeUndefined();
    expect(seen.find(({ ready }) => ready)!.step).toBe(3 * (ended + 1));
    expect(seen.at(-1)!.weight).toBe(0.25);
    expect(warnings).toEqual([]);
  });

  test('does not end before it is told to', async () => {
    const { seen, history } = await run({ ...better, earliest: 7, latest: 9 }, 8, slow);
    const [targets, exit] = ['accuracy', 'exit-accuracy'].map(
      (name) => history.at(6)!.metrics[`label-generator/exit_1/${name}`]!,
    );
    expect(targets).toBeGreaterThan(exit!);
    expect(seen.find(({ ready }) => ready)!.step).toBe(3 * 7);
  });

  test('ends at the latest when it is told to, with a warning; one that never ends is told of', async () => {
    const never = { ...better, weight: 0 };
    const late = await run({ ...never, latest: 2 }, 3);
    expect(late.seen.map(({ ready }) => ready)).toEqual(late.seen.map(({ step }) => step >= 6));
    expect(late.warnings).toEqual([expect.stringMatching(/^after 2 epochs the warm-up ends/)]);
    const open = await run({ ...never, latest: 9 }, 2);
    expect(open.warnings).toEqual([expect.stringMatching(/over after 2 epochs.*is not/)]);
  });

  test('is over in a resumed run where it was over before', async () => {
    const checkpoint = { store: memoryStore(), everyEpochs: 1 };
    const rule = { ...better, weight: 0, latest: 1 };
    await run(rule, 1, { checkpoint });
    const { seen, warnings } = await run(rule, 2, { checkpoint }, true);
    expect(seen.every(({ ready }) => ready)).toBe(true);
    expect(warnings).toEqual([]);
  });

  test.each([true, false])('its optimizer begins anew when it is over: %s', async (restart) => {
    const options = { labelWeight: { steps: 2, then: 1e-3, restart }, learningRate: 0.1 };
    const plugins = withGenerator(options, multiExit({ at: ['hidden'] }));
    await withSession(open(tinyMlp, plugins), async (session) => {
      const readBias = () => trainedParts(session).get('label-generator:head_1/bias')!;
      const batch = data();
      const values = [readBias()];
      for (let step = 0; step < 3; step++) {
        await session.step(batch);
        values.push(readBias());
      }
      tf.dispose(batch);
      const moves = Array.from(values[3]!, (value, i) => Math.abs(value - values[2]![i]!));
      // The first step of Adam has the size of its rate, however small the gradient is.
      expect(moves.every((each) => Math.abs(each - 0.1) < 1e-3)).toBe(restart);
    });
  });

  test.each<[string, NonNullable<LabelGeneratorOptions['labelWeight']>, RegExp[]]>([
    ['until: better', { until: 'better' }, [/warm-up ends with an epoch.*in no epoch/]],
    ['epochs', { epochs: 1 }, [/warm-up ends with an epoch.*in no epoch/]],
    ['steps', { steps: 3 }, []],
  ])('by %s in a loop without epochs is told of once, if it cannot end', async (_, rule, told) => {
    const plugins = withGenerator({ labelWeight: rule }, multiExit({ at: ['hidden'] }));
    await withSession(open(tinyMlp, plugins), async (session) => {
      const warnings: string[] = [];
      session.telemetry.on('warning', ({ message }) => void warnings.push(message));
      const batch = data();
      for (let step = 0; step < 2; step++) await session.step(batch);
      tf.dispose(batch);
      expect(warnings).toEqual(told.map((each) => expect.stringMatching(each) as string));
    });
  });

  test('has one rule', () => {
    expect(() => labelGenerator({ labelWeight: { steps: 3, epochs: 1 } })).toThrow(
      /give one of steps, epochs and until/,
    );
    expect(() => labelGenerator({ labelWeight: { epochs: 1, latest: 2 } })).toThrow(/latest/);
    expect(() => labelGenerator({ labelWeight: { ...better, earliest: 3, latest: 2 } })).toThrow(
      /earliest must not be after latest/,
    );
  });

  test('its own optimizer trains it, whatever the rate of the run', async () => {
    const still = { optimizer: sgd({ learningRate: 1e-30 }) };
    await withSession(
      open(oddCnn, withGenerator({ learningRate: 0.1 }), still),
      async (session) => {
        const before = trainedParts(session);
        await session.fit({ epochs: 1 });
        const after = trainedParts(session);
        const change = Math.max(
          ...after
            .get('label-generator:head_1/bias')!
            .map((value, i) => Math.abs(value - before.get('label-generator:head_1/bias')![i]!)),
        );
        expect(change).toBeGreaterThan(0.1);
        expect(change).toBeLessThan(0.31);
      },
    );
  });
});

/** A backbone that hardly learns, so that the generator passes its exit. */
const slow: Partial<SessionConfig> = { optimizer: sgd({ learningRate: 1e-4 }) };

const data = () => ({
  x: tf.randomNormal([4, 6], 0, 1, 'float32', 2),
  y: tf.tensor1d([0, 1, 2, 1], 'int32'),
});
