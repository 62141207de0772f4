import { useBackend } from '@espalier/backend';
import { createSession, crossEntropy, sgd } from '@espalier/core';
import type { EspalierError, Session } from '@espalier/core';
import { resnet } from '@espalier/examples/networks';
import * as tf from '@tensorflow/tfjs-core';
import { cpuClock, pairedRatios, round } from './measure.js';
import type { BenchOptions, Figure } from './measure.js';
import { noise } from './networks.js';

/** The kernels of ours that are one op of TensorFlow each. */
const OWN = ['BatchNormTraining', 'BatchNormTrainingGrad', 'ReluGrad'];
const BACKEND = 'tensorflow';
const BATCH = 64;

interface Size {
  readonly width: number;
  readonly side: number;
}

const SIZES: readonly Size[] = [
  { width: 1, side: 32 },
  { width: 3, side: 16 },
];

/**
 * A training step of ResNet-8 on libtensorflow with one thread, against the same step with batch
 * normalization and the gradient of relu put together from small ops.
 */
export async function benchNative({ quick }: BenchOptions): Promise<readonly Figure[]> {
  try {
    const backend = await useBackend({ prefer: ['tfjs-node-gpu'], threads: 1 });
    const figures: Figure[] = [];
    for (const size of SIZES) figures.push(...(await stepOf(size, quick ? 5 : 21)));
    backend.dispose();
    return figures;
  } catch (error) {
    if ((error as EspalierError).code !== 'backend/none-available') throw error;
    return [];
  }
}

async function stepOf({ width, side }: Size, rounds: number): Promise<readonly Figure[]> {
  const session = await open({ width, side });
  const batch = noise([BATCH, side, side, 3], 100);
  const step = () => session.step(batch);
  const contenders = { own: step, composed: () => withoutOwnKernels(step) };
  const [cpu, wall] = await pairedRatios(contenders, rounds, [cpuClock, () => performance.now()]);
  await session.dispose();
  tf.dispose(batch);
  const name = `ResNet-8 × ${width} on ${side}×${side}, own ops / small ops`;
  return [
    { ...figureOf(`${name}, CPU time`, cpu!), target: 0.95 },
    figureOf(`${name}, wall time`, wall!),
  ];
}

function figureOf(
  name: string,
  { median, quartiles, of }: Awaited<ReturnType<typeof pairedRatios<'composed' | 'own'>>>[number],
): Figure {
  const range = quartiles.map(round).join('–');
  const spread = `[${range}], ${round(of.own)} / ${round(of.composed)} ms`;
  return { name, value: median, unit: '×', spread };
}

function open({ width, side }: Size): Promise<Session> {
  return createSession({
    model: () => resnet({ depth: 8, width, shape: [side, side, 3], classes: 100 }),
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1, momentum: 0.9, weightDecay: 5e-4 }),
  });
}

async function withoutOwnKernels(step: () => Promise<unknown>): Promise<void> {
  const kernels = OWN.map((name) => tf.getKernel(name, BACKEND) as tf.KernelConfig);
  OWN.forEach((name) => tf.unregisterKernel(name, BACKEND));
  try {
    await step();
  } finally {
    kernels.forEach((kernel) => tf.registerKernel(kernel));
  }
}
