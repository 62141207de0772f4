import { EspalierError } from '@espalier/core';

/** Images of the studies, as data: references are relative to this folder. */
export interface Dataset {
  readonly name: string;
  /** Module with `train`, `validation` and `test`. */
  readonly module: string;
  /** Folder of its files. */
  readonly dir: string;
  readonly testImages: number;
  /** Of every ResNet. */
  readonly network: {
    readonly shape: readonly [number, number, number];
    readonly classes: number;
    readonly strides: number;
  };
}

const cifar = (classes: number): Omit<Dataset, 'dir'> => ({
  name: `cifar-${classes}`,
  module: '../cifar/data.ts',
  testImages: 10_000,
  network: { shape: [32, 32, 3], classes, strides: 1 },
});

const FASHION_MNIST: Dataset = {
  name: 'fashion-mnist',
  module: '../fashion-mnist/data.ts',
  dir: 'runs/data/fashion-mnist',
  testImages: 10_000,
  network: { shape: [28, 28, 1], classes: 10, strides: 2 },
};

/**
 * The one that the environment names, in its folder: `DATASET=cifar-100 DATA=path/to/cifar-100-binary`;
 * Fashion-MNIST without it.
 *
 * @throws EspalierError `metadistiller/dataset`.
 */
export function chosenDataset({ DATASET, DATA: dir } = process.env): Dataset {
  const all = [FASHION_MNIST, cifar(10), cifar(100)];
  const found = all.find(({ name }) => name === (DATASET ?? FASHION_MNIST.name));
  const known = all.map(({ name }) => name).join(', ');
  if (!found) throw unusable(`there is no data set '${DATASET}'`, `Set DATASET to ${known}.`);
  const dataset = { ...found, ...(dir !== undefined && { dir }) };
  if ('dir' in dataset) return dataset as Dataset;
  throw unusable(`it is not said where ${found.name} is`, 'Set DATA to the folder of its files.');
}

function unusable(problem: string, fix: string): EspalierError {
  return new EspalierError('metadistiller/dataset', { problem, fix });
}
