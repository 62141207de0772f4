import type { Session } from '@espalier/core';
import { earlyExitCurve, predictEarly, profileExits } from '@espalier/plugin-multi-exit';
import type { CurvePoint } from '@espalier/plugin-multi-exit';
import * as tf from '@tensorflow/tfjs-core';
import { sourceOf } from './data.js';
import type { Digits } from './data.js';
import { BATCH_SIZE } from './recipes.js';

/** What an exit, or the ensemble of all, can do on the test images and what it costs. */
export interface ExitResult {
  /** `exit 1` …, the last being the network's own output; `ensemble`. */
  readonly exit: string;
  readonly accuracy: number;
  /** How often the soft target that it learns from names the right digit; none where it learns from labels alone. */
  readonly targets?: number | undefined;
  /** Multiply-accumulates per image. */
  readonly macs: number;
  readonly parameters: number;
  /** Measured, per image in a batch. */
  readonly milliseconds: number;
}

/** A trained network on the test images. */
export interface Assessment {
  readonly exits: readonly ExitResult[];
  /** Empty where the network has one exit. */
  readonly curve: readonly CurvePoint[];
}

const OWN_EXIT = 'exit 3';
/** A threshold above every confidence. */
const NO_EXIT = 1.01;

/** Measures every exit of a trained network. */
export async function assess(session: Session, test: Digits): Promise<Assessment> {
  const metrics = await session.evaluate(sourceOf(test, 128, false));
  const x = tf.tensor4d(test.x.data, test.x.shape as [number, number, number, number]);
  try {
    const profile = await profileExits(session.model, x, { batchSize: BATCH_SIZE });
    const exits = profile.map(({ exit, macs, ...costs }) => {
      const auxiliary = `accuracy/${exit}` in metrics;
      const name = auxiliary ? exit.replace('_', ' ') : OWN_EXIT;
      return {
        exit: name,
        accuracy: metrics[auxiliary ? `accuracy/${exit}` : 'accuracy']!,
        targets: metrics[`targets/${exit}/accuracy`],
        macs: macs!, // all layers of these networks tell theirs
        ...costs,
      };
    });
    if (exits.length === 1) return { exits, curve: [] };
    const curve = await earlyExitCurve(session.model, x, test.y.data);
    const ensemble = {
      exit: 'ensemble',
      accuracy: metrics['accuracy/ensemble']!,
      macs: curve.at(-1)!.macs! * exits.at(-1)!.macs,
      parameters: session.model.countParams(),
      milliseconds: await timeOfAllExits(session, x),
    };
    return { exits: [...exits, ensemble], curve };
  } finally {
    x.dispose();
  }
}

/** Milliseconds per image when no image leaves early: the median of five, like the profile's. */
async function timeOfAllExits(session: Session, x: tf.Tensor4D): Promise<number> {
  const batch = tf.slice(x, 0, BATCH_SIZE);
  const times: number[] = [];
  for (let repeat = 0; repeat < 5; repeat++) {
    const { milliseconds } = await predictEarly(session.model, batch, { threshold: NO_EXIT });
    times.push(milliseconds / BATCH_SIZE);
  }
  batch.dispose();
  return times.sort((a, b) => a - b)[2]!;
}
