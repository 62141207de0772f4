import { createSession, crossEntropy, countMacsTo, sgd, viewModel } from '@espalier/core';
import type { Preset, Session } from '@espalier/core';
import { byot, deeplySupervised } from '@espalier/preset-baselines';
import type { ByotOptions } from '@espalier/preset-baselines';
import { onBackend, tinyData, tinySource, valuesOf, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { densenet, mobilenet, resnet, vgg, wideResnet } from '../../examples/networks/index.js';

beforeAll(() => onBackend('wasm'));

describe('trained parameters are as many as published', () => {
  const imagenet = { shape: [224, 224, 3], classes: 1000 };
  const original = { ...imagenet, hidden: [4096, 4096] };

  // In millions, with the digits that the source prints; its data have 10 classes, or 1000.
  test.each<[string, number, () => LayersModel]>([
    // Zagoruyko & Komodakis 2016, table 4.
    ['WRN-40-1', 0.6, () => wideResnet({ depth: 40, width: 1 })],
    ['WRN-40-4', 8.9, () => wideResnet({ depth: 40, width: 4 })],
    ['WRN-16-8', 11.0, () => wideResnet({ depth: 16, width: 8 })],
    ['WRN-28-10', 36.5, () => wideResnet({ depth: 28, width: 10 })],
    // Huang et al. 2017, table 2.
    ['DenseNet-BC-100-12', 0.8, () => densenet({ depth: 100, growth: 12 })],
    ['DenseNet-BC-190-40', 25.6, () => densenet({ depth: 190, growth: 40 })],
    // Howard et al. 2017, table 6.
    ['MobileNet 1.0', 4.2, () => mobilenet(imagenet)],
    ['MobileNet 0.75', 2.6, () => mobilenet({ ...imagenet, width: 0.75 })],
    ['MobileNet 0.5', 1.3, () => mobilenet({ ...imagenet, width: 0.5 })],
    ['MobileNet 0.25', 0.5, () => mobilenet({ ...imagenet, width: 0.25 })],
  ])('%s: %d M', (_, millions, make) => {
    expect(Number((total(countedBy(make)) / 1e6).toFixed(1))).toBe(millions);
  });

  // Simonyan & Zisserman 2015, table 2, whole millions: biases there, batch normalization here.
  test.each([
    [11, 133],
    [13, 133],
    [16, 138],
    [19, 144],
  ] as const)('VGG-%d: %d M', (depth, millions) => {
    expect(Math.round(total(countedBy(() => vgg({ ...original, depth }))) / 1e6)).toBe(millions);
  });

  // He et al. 2016, table 6, whose shortcuts have no parameters.
  test.each([
    [20, 0.27],
    [32, 0.46],
    [44, 0.66],
    [56, 0.85],
  ])('ResNet-%d: %d M', (depth, millions) => {
    const counts = countedBy(() => resnet({ depth }));
    const shortcuts = [...counts.keys()].filter((name) => name.includes('shortcut'));
    expect(shortcuts).toHaveLength(4);
    shortcuts.forEach((name) => counts.delete(name));
    expect(Number((total(counts) / 1e6).toFixed(2))).toBe(millions);
  });

  test.each<[number, () => LayersModel]>([
    [78_042, () => resnet({ depth: 8 })],
    [272_474, () => resnet({ depth: 20 })],
    [855_770, () => resnet({ depth: 56 })],
    [1_730_714, () => resnet({ depth: 110 })],
    [175_066, () => wideResnet({ depth: 16 })],
    [2_748_890, () => wideResnet({ depth: 16, width: 4 })],
    [36_479_194, () => wideResnet({ depth: 28, width: 10 })],
    [176_122, () => densenet({ depth: 40 })],
    [769_162, () => densenet({ depth: 100 })],
    [3_917_386, () => vgg({ depth: 8 })],
    [14_724_042, () => vgg({ depth: 16 })],
    [138_361_768, () => vgg({ ...original, depth: 16 })],
    [3_217_226, () => mobilenet()],
    [4_231_976, () => mobilenet(imagenet)],
  ])('%d, as the README of the networks says', (count, make) => {
    expect(total(countedBy(make))).toBe(count);
  });

  test('counted without memory for them, they are those of the model itself', () => {
    const make = () => densenet({ depth: 16, growth: 4, shape: [16, 16, 1] });
    const model = make();
    const trained = model.trainableWeights.map(({ shape }) => size(shape));
    expect(total(countedBy(make))).toBe(trained.reduce((a, b) => a + b, 0));
    model.dispose();
  });

  // Howard et al. 2017, table 6.
  test('MobileNet 0.5 takes 149 million multiply-adds', () => {
    const view = viewModel(mobilenet({ ...imagenet, width: 0.5 }));
    expect(Math.round(countMacsTo(view, ['logits'])! / 1e6)).toBe(149);
    view.layersModel.dispose();
  });
});

/** Trained numbers by layer, of a model that is built with a single number for each weight. */
function countedBy(make: () => LayersModel): Map<string, number> {
  type AddWeight = (
    this: tfl.layers.Layer,
    name: string,
    shape: number[],
    ...rest: unknown[]
  ) => unknown;
  const prototype = tfl.layers.Layer.prototype as unknown as { addWeight: AddWeight };
  const { addWeight } = prototype;
  const counts = new Map<string, number>();
  prototype.addWeight = function (name, shape, ...rest) {
    const trained = rest[3] !== false;
    if (trained) counts.set(this.name, (counts.get(this.name) ?? 0) + size(shape));
    return addWeight.call(this, name, [1], ...rest);
  };
  try {
    make().dispose();
  } finally {
    prototype.addWeight = addWeight;
  }
  return counts;
}

const size = (shape: readonly (number | null)[]) => shape.reduce<number>((a, b) => a * b!, 1);
const total = (counts: ReadonlyMap<string, number>) =>
  [...counts.values()].reduce((a, b) => a + b, 0);

const SHAPE = [16, 16, 3];
const small = { shape: SHAPE, classes: 3 };

interface Family {
  readonly model: () => LayersModel;
  /** Of `stage1`, `stage2`, …; maps are square. */
  readonly heights: readonly number[];
  readonly channels: readonly number[];
  readonly options?: ByotOptions;
}

const FAMILIES: Readonly<Record<string, Family>> = {
  resnet: {
    model: () => resnet({ ...small, depth: 14, width: 0.25 }),
    heights: [16, 8, 4],
    channels: [4, 8, 16],
  },
  wideResnet: {
    model: () => wideResnet({ ...small, depth: 16, width: 0.25 }),
    heights: [16, 8, 4],
    channels: [4, 8, 16],
  },
  densenet: {
    model: () => densenet({ ...small, depth: 16, growth: 4 }),
    heights: [16, 8, 4],
    channels: [16, 16, 16],
  },
  vgg: {
    model: () => vgg({ ...small, depth: 11, width: 1 / 16 }),
    heights: [8, 4, 2, 1, 1],
    channels: [4, 8, 16, 32, 32],
  },
  'vgg with a hidden layer': {
    model: () => vgg({ ...small, depth: 8, width: 1 / 16, hidden: [16] }),
    heights: [8, 4, 2, 1, 1],
    channels: [4, 8, 16, 32, 32],
    // A hint compares features of equal width, those behind the hidden layer are narrower.
    options: { hint: 0 },
  },
  mobilenet: {
    model: () => mobilenet({ ...small, width: 1 / 8, strides: 1 }),
    heights: [16, 8, 4, 2, 1],
    channels: [8, 16, 32, 64, 128],
  },
};

describe.each(Object.entries(FAMILIES))('%s', (_, { model, heights, channels, options }) => {
  test('names its stages', () => {
    const view = viewModel(model());
    const ends = view.layers.filter(({ name }) => /^stage\d$/.test(name));
    expect(ends.map(({ name, outputShape }) => [name, ...outputShape])).toEqual(
      heights.map((height, i) => [`stage${i + 1}`, height, height, channels[i]]),
    );
    expect(view.outputNames).toEqual(['logits']);
    view.layersModel.dispose();
  });

  test('is deeply supervised with default options, and given back', async () => {
    const places = await trainedWith(model, deeplySupervised());
    expect(places.length).toBeGreaterThanOrEqual(2);
  });

  test('is its own teacher with exits on its stages, and given back', async () => {
    const at = ['stage1', 'stage2'];
    expect(await trainedWith(model, byot({ at, ...options }))).toEqual(at);
  });
});

/** Trains two steps and checks what they did; gives the layers that exits stand behind. */
async function trainedWith(model: () => LayersModel, preset: Preset): Promise<readonly string[]> {
  return withSession(open(model, preset), async (session) => {
    const places = placesOf(session.model);
    const before = valuesOf(session.parameters());
    await session.fit({ epochs: 1 });
    const after = valuesOf(session.parameters());
    for (const head of [...places.map((_, i) => `exit_${i + 1}`), 'logits']) {
      expect(after.get(`${head}/kernel`)).not.toEqual(before.get(`${head}/kernel`));
    }
    await expectOwnNetwork(session, model);
    return places;
  });
}

/** By exit, the layer of the network that it takes. */
function placesOf(model: LayersModel): readonly string[] {
  const ofExit = (name: string) => name.startsWith('exit_');
  return viewModel(model)
    .layers.filter(({ name, inbound }) => ofExit(name) && !inbound.some(ofExit))
    .map(({ inbound }) => inbound[0]!);
}

test.each<[string, () => LayersModel, RegExp]>([
  [
    'a depth between two',
    () => resnet({ depth: 21 }),
    /resnet: option 'depth': must be 6n \+ 2 .* 21/,
  ],
  ['no block', () => wideResnet({ depth: 4 }), /wideResnet: option 'depth': must be 6n \+ 4 .* 4/],
  ['no growth', () => densenet({ growth: 0 }), /densenet: option 'growth'.* 0/],
  ['an unknown VGG', () => vgg({ depth: 12 as 11 }), /vgg: option 'depth'.*8\|11\|13\|16\|19.* 12/],
  ['a negative width', () => mobilenet({ width: -1 }), /mobilenet: option 'width'.* -1/],
  ['a typo', () => resnet({ widht: 2 } as never), /unknown option 'widht'. Did you mean 'width'/],
])('%s is refused', (_, make, message) => {
  expect(make).toThrow(message);
});

function open(model: () => LayersModel, preset: Preset): Promise<Session> {
  return createSession({
    model,
    preset,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.05, momentum: 0.9 }),
    train: tinySource({ shape: SHAPE, examples: 8 }),
  });
}

/** The export has the layers of the user's network, and its bits in every logit. */
async function expectOwnNetwork(session: Session, model: () => LayersModel): Promise<void> {
  const { data, shape } = tinyData({ shape: SHAPE, examples: 5, seed: 1 }).x;
  const x = tf.tensor(data, [...shape]);
  const outputs = await session.predict(x);
  const [own, fresh] = [session.export(), model()];
  const logits = own.predict(x) as Tensor;
  expect(own.layers.map(({ name }) => name)).toEqual(fresh.layers.map(({ name }) => name));
  expect(logits.dataSync()).toEqual(outputs['logits']!.dataSync());
  tf.dispose([x, outputs, logits]);
  [own, fresh].forEach((each) => each.dispose());
}
