// Types every browser-ready package together; every line marked below must not compile.
import { backendNames, useBackend } from '@espalier/backend';
import type { BackendInfo } from '@espalier/backend';
import {
  adam,
  arraySource,
  chain,
  clipByGlobalNorm,
  createSession,
  crossEntropy,
} from '@espalier/core';
import type { Session, Source, GradientTransform } from '@espalier/core';
import * as optim from '@espalier/optim';
import { deepestExit, exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import { byot, deeplySupervised } from '@espalier/preset-baselines';
import { linePlot, renderReport } from '@espalier/report';
import type { Scalar, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { logitPenalty } from './plugin.js';

export async function train(model: () => LayersModel): Promise<Session> {
  const backend: BackendInfo = await useBackend({ prefer: backendNames });
  const source: Source = arraySource({
    x: { data: new Float32Array(8), shape: [4, 2] },
    y: { data: new Int32Array(4), shape: [4] },
    batchSize: 2,
  });
  const optimizer: GradientTransform = chain(clipByGlobalNorm(1), adam({ learningRate: 0.01 }));
  const session = await createSession({
    backend,
    model,
    optimizer,
    train: source,
    loss: crossEntropy(),
    plugins: [multiExit({ at: ['block'] }), deepestExit(), exitDistillation(), logitPenalty()],
  });
  session.telemetry.on('step', ({ step }) => step.toFixed());
  const { history } = await session.fit({ epochs: 2 });
  history[0]?.metrics['loss']?.toFixed();
  return session;
}

export async function lossOf(session: Session, x: Tensor2D, y: Tensor1D): Promise<Scalar> {
  const batch = await session.batch({ x, y }, 'probe');
  return session.objective(batch, { rng: 'fresh', state: 'keep' });
}

export const presets = [byot({ temperature: 4 }), deeplySupervised()];
export const sameTransform: GradientTransform = optim.sgd({ learningRate: 0.1 });
export const page: string = renderReport({ title: 'Runs', sections: [] });
export const plot = linePlot;

// @ts-expect-error: there is no such backend
await useBackend({ prefer: 'opengl' });
// @ts-expect-error: a session needs a model
await createSession({ loss: crossEntropy(), optimizer: adam({ learningRate: 0.01 }) });
// @ts-expect-error: the temperature is a number
byot({ temperature: 'hot' });
