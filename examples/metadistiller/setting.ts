/** What every run of this example shares: images, network, augmentation, optimizer. */
import { cosineSchedule, sgd } from '@espalier/core';
import type { GradientTransform } from '@espalier/core';

/** Training images, as many of each of 100 classes, and of a batch. */
export const PER_CLASS = 20;
export const BATCH_SIZE = 64;

const IMAGES = { classes: 100, side: 16, normalize: true } as const;

/** Where exits stand; the network's own output is one more. */
export const at = ['stage1', 'stage2'];

/** A ResNet-8 of three times the width, 48, 96 and 192 channels, for images of 16 × 16. */
export const network = { depth: 8, width: 3, classes: 100, shape: [16, 16, 3] };

/** Of every row but plain for as long; see the pilot in the README. */
export const EPOCHS = 60;

/** Of a crop, an eighth of the side: pixels shifted by at most so many. */
export const SHIFT = 2;

/** Of SGD. */
export const MOMENTUM = { momentum: 0.9, weightDecay: 5e-4 };

/** Options of the training images that a seed draws. */
export function trainingImages(draw: number) {
  return { ...IMAGES, batchSize: BATCH_SIZE, perClass: PER_CLASS, draw };
}

/** Options of images to measure with. */
export function measuredImages(perClass: number) {
  return { ...IMAGES, batchSize: 250, perClass };
}

/** A cosine that ends after so many epochs. */
export function cosine(initial: number, epochs: number) {
  return { initial, steps: epochs * Math.ceil((IMAGES.classes * PER_CLASS) / BATCH_SIZE) };
}

/** SGD with that cosine. */
export function optimizer(initial: number, epochs: number): GradientTransform {
  return sgd({ ...MOMENTUM, learningRate: cosineSchedule(cosine(initial, epochs)) });
}
