/** What every row of the studies has to train with, and the teacher of one of them. */

/** Images in a batch of training. */
export const BATCH_SIZE = 64;
/** Images to train on; as many others to validate with. */
export const IMAGES = 2000;

/** For a cosine schedule: one that fits a batch of 64 and normalized layers. */
export function learningRate(epochs: number) {
  return { initial: 0.1, steps: epochs * Math.ceil(IMAGES / BATCH_SIZE) };
}

/** Of SGD. */
export const MOMENTUM = { momentum: 0.9, weightDecay: 5e-4 };

/** A deeper ResNet, trained for three times as long as its student. */
export const TEACHER = { depth: 20, epochs: 30, seed: 1 };

/** Images for the outer loss alone, beyond those to train on. */
export const HELD_OUT = { images: 200, skip: IMAGES, batchSize: BATCH_SIZE };

/** Steps from one outer step to the next. */
export const INTERVAL = 4;
