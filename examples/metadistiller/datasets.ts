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

const cifar = (classes: number) => ({
  name: `cifar-${classes}`,
  module: '../cifar/data.ts',
  testImages: 10_000,
  network: { shape: [32, 32, 3] as const, classes, strides: 1 },
});

const KNOWN: readonly (Omit<Dataset, 'dir'> & Partial<Dataset>)[] = [
  {
    name: 'fashion-mnist',
    module: '../fashion-mnist/data.ts',
    dir: 'runs/data/fashion-mnist',
    testImages: 10_000,
    network: { shape: [28, 28, 1], classes: 10, strides: 2 },
  },
  cifar(10),
  cifar(100),
];

/**
 * The one that the environment names, in its folder: `DATASET=cifar-100 DATA=path/to/cifar-100-binary`;
 * Fashion-MNIST without it.
 *
 * @throws EspalierError `metadistiller/dataset`.
 */
export function chosenDataset({ DATASET = 'fashion-mnist', DATA } = process.env): Dataset {
  const found = KNOWN.find(({ name }) => name === DATASET);
  const known = KNOWN.map(({ name }) => name).join(', ');
  if (!found) throw unusable(`there is no data set '${DATASET}'`, `Set DATASET to ${known}.`);
  const dir = DATA ?? found.dir;
  if (dir !== undefined) return { ...found, dir };
  throw unusable(`it is not said where ${DATASET} is`, 'Set DATA to the folder of its files.');
}

function unusable(problem: string, fix: string): EspalierError {
  return new EspalierError('metadistiller/dataset', { problem, fix });
}
