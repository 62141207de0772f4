import { crossEntropy, EspalierError, meanSquaredError } from '@espalier/core';
import type { Plugin, RawBatch, SessionConfig } from '@espalier/core';
import { cutmix, cutout, mixup, randomCrop, randomFlip } from '@espalier/plugin-augmentation';
import { onBackend, tinyMlp, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { beforeAll, expect, test } from 'vitest';
import { open } from './support.js';

beforeAll(() => onBackend('wasm'));

const { layers } = tfl;

/** Words, looked up and averaged. */
function wordModel(): LayersModel {
  return tfl.sequential({
    layers: [
      layers.embedding({ name: 'words', inputDim: 5, outputDim: 4, inputLength: 6 }),
      layers.flatten({ name: 'flat' }),
      layers.dense({ name: 'logits', units: 3 }),
    ],
  });
}

/** An image and a vector. */
function twoInputs(): LayersModel {
  const image = tfl.input({ shape: [4, 4, 1], name: 'image' });
  const vector = tfl.input({ shape: [2], name: 'vector' });
  const flat = layers.flatten({ name: 'flat' }).apply(image) as SymbolicTensor;
  const joined = layers.concatenate({ name: 'joined' }).apply([flat, vector]);
  const logits = layers.dense({ name: 'logits', units: 3 }).apply(joined) as SymbolicTensor;
  return tfl.model({ inputs: [image, vector], outputs: logits });
}

/** Takes images of any size. */
const convolution = (name: string) =>
  layers.conv2d({ name, filters: 3, kernelSize: 1, inputShape: [null, null, 1] });

/** A class for each pixel. */
const mapModel = (): LayersModel => tfl.sequential({ layers: [convolution('logits')] });

/** A class for each image. */
function openModel(): LayersModel {
  return tfl.sequential({
    layers: [
      convolution('conv'),
      layers.globalAveragePooling2d({ name: 'pool' }),
      layers.dense({ name: 'logits', units: 3 }),
    ],
  });
}

const ownLoss = { ...meanSquaredError(), name: 'ctc' };

test.each<[string, Plugin, Partial<SessionConfig>, string, RegExp]>([
  [
    'vectors',
    randomCrop(),
    { model: tinyMlp },
    'random-crop/images',
    /'hidden_input' holds no images \[batch, height, width, channels\].*\[null,6\]/,
  ],
  ['vectors', randomFlip(), { model: tinyMlp }, 'random-flip/images', /holds no images/],
  ['sequences', cutout(), { model: wordModel }, 'cutout/images', /holds no images/],
  ['sequences', cutmix(), { model: wordModel }, 'cutmix/images', /holds no images/],
  ['ids', mixup(), { model: wordModel }, 'mixup/ids', /ids, whose mixtures mean nothing/],
  [
    'too much padding',
    randomCrop({ padding: 5 }),
    {},
    'random-crop/padding',
    /5 pixels of padding are too many for images of 5 × 7/,
  ],
  [
    'a square larger than the image',
    cutout({ size: 6 }),
    {},
    'cutout/size',
    /a square of 6 pixels is larger than images of 5 × 7.*smaller size/,
  ],
  [
    'an unknown input',
    randomFlip({ input: 'imag' }),
    { model: twoInputs },
    'random-flip/input',
    /no input 'imag'.*Did you mean 'image'\?/,
  ],
  [
    'no named input of several',
    mixup(),
    { model: twoInputs },
    'mixup/input',
    /has 2 inputs, and none is named.*option input/,
  ],
  [
    'the wrong input of several',
    cutmix({ input: 'vector' }),
    { model: twoInputs },
    'cutmix/images',
    /'vector' holds no images/,
  ],
  ['maps', randomCrop(), { model: mapModel }, 'random-crop/maps', /'logits' are maps of the image/],
  ['maps', randomFlip(), { model: mapModel }, 'random-flip/maps', /change image and map together/i],
  ['maps', cutmix(), { model: mapModel }, 'cutmix/maps', /leave this plugin out/],
  [
    'a loss that is not known to take distributions',
    mixup(),
    { loss: ownLoss },
    'mixup/targets',
    /'logits' cannot be mixed: its loss ctc .*option linear/,
  ],
  ['such a loss', cutmix(), { loss: ownLoss }, 'cutmix/targets', /leave cutmix out/],
  [
    'an unknown output',
    cutmix({ linear: ['logit'] }),
    { loss: ownLoss },
    'cutmix/output',
    /no loss for an output 'logit'.*Did you mean 'logits'\?/,
  ],
])('%s: %o is refused at setup', async (_, plugin, more, code, message) => {
  const error = await open([plugin], more).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(EspalierError);
  expect((error as EspalierError).code).toBe(code);
  expect(String(error)).toMatch(message);
});

test('a named image of several inputs is changed', () =>
  withSession(open([cutmix({ input: 'image' })], { model: twoInputs }), async (session) => {
    const x = { image: tf.ones([2, 4, 4, 1]), vector: tf.ones([2, 2]) };
    const { total } = await session.step({ x, y: tf.tensor1d([0, 1], 'int32') });
    expect(total).toBeGreaterThan(0);
  }));

const ofSides = (height: number, width: number): RawBatch => ({
  x: tf.ones([2, height, width, 1]),
  y: tf.tensor1d([0, 1], 'int32'),
});

test.each<[string, Plugin, () => RawBatch, string]>([
  ['a square larger than this image', cutout({ size: 6 }), () => ofSides(8, 5), 'cutout/size'],
  [
    'padding too much for it',
    randomCrop({ padding: 5 }),
    () => ofSides(8, 5),
    'random-crop/padding',
  ],
  [
    'a flat batch',
    randomFlip(),
    () => ({ ...ofSides(2, 2), x: tf.ones([2, 64]) }),
    'random-flip/images',
  ],
  [
    'integers',
    mixup(),
    () => ({ ...ofSides(2, 2), x: tf.ones([2, 2, 2, 1], 'int32') }),
    'mixup/ids',
  ],
])('%s is refused where a batch brings it', async (_, plugin, raw, code) => {
  await withSession(open([plugin], { model: openModel, loss: crossEntropy() }), async (session) => {
    const error = await session.step(raw()).catch((reason: unknown) => reason);
    expect((error as EspalierError).code).toBe(code);
    expect((error as EspalierError).place).toMatchObject({ plugin: plugin.id, hook: 'batch' });
  });
});

test.each<[() => Plugin, RegExp]>([
  [() => randomCrop({ padding: -1 }), /plugin 'random-crop': option 'padding'.*-1/],
  [() => randomCrop({ padding: 1.5 }), /option 'padding'/],
  [() => randomCrop({ mode: 'wrap' as 'zero' }), /option 'mode'/],
  [() => randomFlip({ probability: 1.1 }), /option 'probability'/],
  [() => randomFlip({ horizontal: false }), /one of horizontal and vertical must be on/],
  [() => cutout({ size: 0 }), /option 'size'/],
  [() => cutout({ fill: NaN }), /option 'fill'/],
  [() => mixup({ alpha: 0 }), /option 'alpha'.*0/],
  [() => cutmix({ alpha: -1 }), /option 'alpha'/],
  [() => cutmix({ alpha: Infinity }), /option 'alpha'/],
  [() => mixup({ per: 'image' as 'batch' }), /option 'per'/],
  [() => mixup({ alhpa: 1 } as object), /unknown option 'alhpa'. Did you mean 'alpha'\?/],
])('refuses the options of %s', (make, message) => {
  expect(make).toThrow(message);
});
