/**
 * Sharpness-aware minimization (Foret et al. 2021) as a plugin: each step evaluates the whole
 * objective twice, at the weights w and at w + ρ·g/‖g‖, and steps with the second gradient. The
 * plugin knows nothing of the other plugins, yet their terms are in both gradients.
 */
import { adam, cosineSchedule, createSession, crossEntropy, definePlugin } from '@espalier/core';
import type { NamedTensors, Plugin, RawBatch, Session } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import * as z from 'zod';
import { loadDigits, sourceOf } from './digits/data.js';
import { smallNetwork } from './small-network.js';

const sharpnessAware = definePlugin({
  id: 'sharpness-aware',
  version: '1.0.0',
  options: z.strictObject({ rho: z.number().positive().default(0.05) }),
  effects: { gradients: 'replace' },
  stateless: true,
  apply(ctx, { rho }) {
    ctx.hooks.gradients.tap((gradients) =>
      ctx.windowGradients(uphill(ctx.parameters(), gradients, rho)),
    );
  },
});

/** w + ρ·g/‖g‖, the norm taken over all parameters together. */
function uphill(weights: NamedTensors, gradients: NamedTensors, rho: number): NamedTensors {
  const squares = Object.values(gradients).map((g) => tf.sum(tf.square(g)));
  const factor = tf.div(rho, tf.add(tf.sqrt(tf.addN(squares)), 1e-12));
  return mapTensors(gradients, (g, path) => tf.add(weights[path]!, tf.mul(g, factor)));
}

function mapTensors(tensors: NamedTensors, fn: (t: tf.Tensor, path: string) => tf.Tensor) {
  return Object.fromEntries(Object.entries(tensors).map(([path, t]) => [path, fn(t, path)]));
}

const RHO = 0.1;
const digits = loadDigits({ train: 40, validation: 0, test: 50 });
console.log(
  `400 images, 15 epochs; sharpness: how much the loss rises within ${RHO} of the weights`,
);
for (const seed of [1, 2]) {
  await report('Adam', [], seed);
  await report('Adam with SAM', [sharpnessAware({ rho: RHO })], seed);
}

async function report(name: string, plugins: readonly Plugin[], seed: number): Promise<void> {
  const session = await createSession({
    model: smallNetwork,
    plugins,
    loss: crossEntropy(),
    optimizer: adam({ learningRate: cosineSchedule({ initial: 1e-2, steps: 300 }) }),
    train: sourceOf(digits.train, 20, true),
    seed,
    backend: { prefer: 'wasm' },
  });
  await session.fit({ epochs: 15 });
  const { accuracy } = await session.evaluate(sourceOf(digits.test, 128, false));
  const rise = await sharpness(session);
  console.log(
    `${name}, seed ${seed}: test accuracy ${(100 * accuracy!).toFixed(1)}%, sharpness ${rise.toFixed(3)}`,
  );
  await session.dispose();
}

/** From outside the run: the same objective, at other weights. */
async function sharpness(session: Session): Promise<number> {
  const { x, y } = digits.train;
  const raw: RawBatch = { x: tf.tensor(x.data, [...x.shape]), y: tf.tensor(y.data, [...y.shape]) };
  const batch = await session.batch(raw, 'sharpness');
  const rise = tf.tidy(() => {
    const { total, gradients } = session.gradients(batch);
    const params = uphill(session.parameters(), gradients, RHO);
    return tf.sub(session.objective(batch, { params }), total);
  });
  const [value] = await rise.data();
  tf.dispose([rise, raw.x as tf.Tensor, raw.y as tf.Tensor]);
  return value!;
}
