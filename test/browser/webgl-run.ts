import { createSession, crossEntropy, sgd } from '@espalier/core';
import { byot } from '@espalier/preset-baselines';
import { tinyCnn, tinySource } from '@espalier/testkit';

/** Two epochs of the tiny network with an exit, on the current backend; the same in Node and in a page. */
export async function trainTinyCnn() {
  const losses: number[] = [];
  const session = await createSession({
    model: tinyCnn,
    preset: byot({ at: ['stage1_relu'] }),
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.01, momentum: 0.9 }),
    train: tinySource({ shape: [8, 8, 1], examples: 16 }),
    logInterval: 1,
    seed: 5,
  });
  session.telemetry.on('step', ({ total }) => losses.push(total));
  await session.fit({ epochs: 2 });
  await session.dispose();
  return { losses, line: session.backend.line };
}
