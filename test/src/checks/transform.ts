import { memoryStore } from '@espalier/core';
import type { Session } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { firstDifference, liveTensors, trainedValues, valuesOf, withSession } from '../compare.js';
import type { Values } from '../compare.js';
import { demand } from '../fail.js';
import { openSession } from '../subject.js';
import type { Subject } from '../subject.js';

/**
 * Transform, for plugins that tap it: the transformed model trains on without leaking, a checkpoint
 * of it resumes bit for bit, what is exported predicts what the session does, and nothing outlives
 * the run.
 */
export async function checkTransform(subject: Subject): Promise<void> {
  const before = liveTensors();
  const store = memoryStore();
  const whole = await withSession(openSession(subject), async (session) => {
    if (!taps(session)) return undefined;
    await trainTransform(session);
    await session.save(store);
    const values = await trainedValues(session, 2);
    const settled = liveTensors();
    await session.fit({ untilEpoch: 3 });
    const grown = liveTensors() - settled;
    demand(grown === 0, 'transform', `${grown} tensors are left over by an epoch after transform`);
    await demandSameExport(session, subject);
    await demandSameDense(session, subject);
    return values;
  });
  if (!whole) return;
  const resumed = await withSession(openSession(subject), async (session) => {
    demand(await session.load({ store }), 'transform', 'no checkpoint was written');
    return trainedValues(session, 2);
  });
  const differing = firstDifference(whole, resumed);
  demand(
    differing === undefined,
    'transform',
    `a run resumed after transform ends elsewhere than an undisturbed one, first in '${differing}'`,
  );
  const left = liveTensors() - before;
  demand(left === 0, 'transform', `${left} tensors outlive a transformed run`);
}

function taps(session: Session): boolean {
  const { hooks } = session.inspect();
  return hooks.some(({ hook, taps: on }) => hook === 'transform' && on.length > 0);
}

/** Some plugins gather what they need in training, others in an evaluation. */
async function trainTransform(session: Session): Promise<void> {
  await session.fit({ epochs: 1 });
  await session.evaluate();
  await session.transform();
}

async function demandSameExport(session: Session, subject: Subject): Promise<void> {
  const shape = session.model.inputs.map(({ shape: each }) => [2, ...each.slice(1)] as number[]);
  const inputs = shape.map((each) => tf.ones(each));
  const mine = await outputsOf(session.model, inputs);
  const exported = session.export({ outputs: session.inspect().outputs });
  const theirs = await outputsOf(exported, inputs);
  exported.dispose();
  tf.dispose(inputs);
  const differing = firstDifference(mine, theirs);
  demand(
    differing === undefined,
    'transform',
    `the model exported by case '${subject.name}' predicts otherwise than the session's, in output ${differing}`,
  );
}

/** As ordinary layers of TensorFlow.js, as far as its layers know ones, it predicts the same. */
async function demandSameDense(session: Session, subject: Subject): Promise<void> {
  const { outputs } = session.inspect();
  const shape = session.model.inputs.map(({ shape: each }) => [2, ...each.slice(1)] as number[]);
  const inputs = shape.map((each) => tf.ones(each));
  const [own, dense] = [session.export({ outputs }), session.export({ outputs, dense: true })];
  const [mine, theirs] = [await outputsOf(own, inputs), await outputsOf(dense, inputs)];
  tf.dispose(inputs);
  [own, dense].forEach((model) => model.dispose());
  const differing = [...mine].find(([name, values]) => {
    const scale = Math.max(...values.map(Math.abs), 1e-3);
    return values.some((value, i) => !(Math.abs(value - theirs.get(name)![i]!) < 1e-4 * scale));
  });
  demand(
    differing === undefined,
    'transform',
    `the model exported by case '${subject.name}' with { dense: true } predicts otherwise than the session's, in output ${differing?.[0]}; let plainLayer of its layers decode what call computes with`,
  );
}

async function outputsOf(model: Session['model'], inputs: tf.Tensor[]): Promise<Values> {
  const outputs = [model.predict(inputs.length === 1 ? inputs[0]! : inputs)].flat();
  const values = valuesOf(Object.fromEntries(outputs.map((output, i) => [String(i), output])));
  tf.dispose(outputs);
  return values;
}
