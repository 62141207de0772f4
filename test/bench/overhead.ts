import { useBackend } from '@espalier/backend';
import { createSession, crossEntropy, definePlugin, HOOKS, sgd } from '@espalier/core';
import type { HookName, Plugin, Session } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import * as z from 'zod';
import { pairedDifferences } from './measure.js';
import type { BenchOptions, Figure } from './measure.js';
import { mlp, noise } from './networks.js';

const BATCH = 128;
const RATE = 0.01;

/** Added time per step over the same step written by hand; tensors over 2 000 steps. */
export async function benchOverhead({ quick }: BenchOptions): Promise<readonly Figure[]> {
  const backend = await useBackend({ prefer: ['wasm'] });
  const { x, y } = noise([BATCH, 784], 10);
  const byHand = handWritten(mlp(), x, y);
  const bare = await open([]);
  const ten = await open(Array.from({ length: 10 }, (_, i) => noOp({}, { id: `no-op-${i}` })));
  const step = (session: Session) => () => session.step({ x, y });
  const [added, perTen] = await pairedDifferences(
    { byHand, bare: step(bare), ten: step(ten) },
    [
      ['bare', 'byHand'],
      ['ten', 'bare'],
    ],
    quick ? 100 : 600,
  );
  const flat = await growth(step(bare), 2000);
  await bare.dispose();
  await ten.dispose();
  backend.dispose();
  return [
    figure('added per step', added!, 1, 150),
    figure('added per no-op plugin on every hook', perTen!, 10, 5),
    { name: 'tensors grown over 2 000 steps', value: flat, unit: 'tensors', target: 0 },
  ];
}

/** The same step by hand: forward, gradients, SGD. No terms, no finite check. */
function handWritten(model: LayersModel, x: tf.Tensor, y: tf.Tensor1D): () => void {
  const optimizer = tf.train.sgd(RATE);
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  return () => {
    const { value, grads } = tf.variableGrads(() => {
      const logits = model.apply(x, { training: true }) as tf.Tensor2D;
      const picked = tf.mul(tf.oneHot(y, 10), tf.logSoftmax(logits));
      return tf.neg(tf.mean(tf.sum(picked, -1))) as tf.Scalar;
    }, variables);
    optimizer.applyGradients(grads as never);
    tf.dispose([value, grads]);
  };
}

const noOp = definePlugin({
  id: 'no-op',
  version: '1.0.0',
  options: z.strictObject({}),
  effects: {
    batch: 'add',
    targets: 'modify',
    loss: 'add',
    gradients: 'modify',
    structure: 'add',
  },
  stateless: true,
  apply(ctx) {
    for (const hook of Object.keys(HOOKS) as HookName[]) {
      ctx.hooks[hook].tap(((argument: unknown) =>
        HOOKS[hook].kind.endsWith('waterfall') ? argument : undefined) as never);
    }
  },
});

function open(plugins: readonly Plugin[]): Promise<Session> {
  const optimizer = sgd({ learningRate: RATE });
  return createSession({ model: mlp, loss: crossEntropy(), optimizer, plugins });
}

type Difference = Awaited<ReturnType<typeof pairedDifferences>>[number];

function figure(
  name: string,
  { median, quartiles }: Difference,
  per: number,
  target: number,
): Figure {
  const [value, low, high] = [median, ...quartiles].map((ms) => (1000 * ms) / per);
  return {
    name,
    value: value!,
    unit: 'µs',
    target,
    spread: `quartiles ${low!.toFixed(1)}–${high!.toFixed(1)} µs`,
  };
}

async function growth(step: () => Promise<unknown>, steps: number): Promise<number> {
  await step();
  const before = tf.memory().numTensors;
  for (let i = 0; i < steps; i++) await step();
  return tf.memory().numTensors - before;
}
