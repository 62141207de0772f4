import { earlyExitCurve, predictEarly } from '@espalier/plugin-multi-exit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { openTrial } from './trained.js';
import type { Trained } from './trained.js';

/** At one threshold. */
export interface ExitTimes {
  readonly threshold: number;
  readonly accuracy: number;
  /** Measured, per image in batches of 128. */
  readonly milliseconds: number;
  /** Multiply-accumulates, relative to the network without exits. */
  readonly operations: number;
}

const NEVER = 1.01; // above every probability
const THRESHOLDS = [0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, NEVER];
const REPEATS = 3;
/** Of so many images, which are in the order of their classes, the time of one is measured; accuracy is of all. */
const STRIDE = 5;

/** One of the networks, and what was measured of it. */
interface Subject extends Trained {
  readonly row: string;
  /** Some of the images. */
  readonly timed: Tensor;
  /** Milliseconds per image of each repeat, threshold by threshold. */
  readonly times: readonly number[][];
}

/**
 * Accuracy and time of networks that a study trained, over thresholds of the highest probability: for
 * each row the means over its networks, of each the median of some repeats. Networks and thresholds take
 * turns, so that a slow moment of the machine hits all of them.
 *
 * @param trials Ids, by row.
 */
export async function exitTimes(
  studyDir: string,
  trials: ReadonlyMap<string, readonly string[]>,
): Promise<ReadonlyMap<string, readonly ExitTimes[]>> {
  const subjects: Subject[] = [];
  for (const [row, ids] of trials) {
    for (const id of ids) {
      const trained = await openTrial(studyDir, id);
      const { shape } = trained.x;
      const timed = tf.stridedSlice(
        trained.x,
        shape.map(() => 0),
        shape,
        shape.map((_, i) => (i === 0 ? STRIDE : 1)),
      );
      subjects.push({ row, timed, times: THRESHOLDS.map(() => []), ...trained });
    }
  }
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    for (const [i, threshold] of THRESHOLDS.entries()) {
      for (const { session, timed, times } of subjects) {
        const { milliseconds } = await predictEarly(session.model, timed, { threshold });
        times[i]!.push(milliseconds / timed.shape[0]!);
      }
    }
  }
  const measured = new Map<Subject, readonly ExitTimes[]>();
  for (const subject of subjects) measured.set(subject, await exitsOf(subject));
  for (const { session, x, timed } of subjects) {
    tf.dispose([x, timed]);
    await session.dispose();
  }
  return new Map(
    [...trials.keys()].map((row) => {
      const own = [...measured].filter(([subject]) => subject.row === row);
      return [row, meansOf(own.map(([, each]) => each))];
    }),
  );
}

async function exitsOf({ session, x, labels, times }: Subject): Promise<readonly ExitTimes[]> {
  const curve = await earlyExitCurve(session.model, x, labels, { thresholds: THRESHOLDS });
  return curve.map(({ threshold, accuracy, macs: operations }, i) => {
    const [milliseconds] = times[i]!.toSorted((a, b) => a - b).slice(Math.floor(REPEATS / 2));
    return { threshold, accuracy, operations: operations!, milliseconds: milliseconds! };
  });
}

function meansOf(networks: readonly (readonly ExitTimes[])[]): readonly ExitTimes[] {
  const mean = (values: readonly number[]) =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  return THRESHOLDS.map((threshold, i) => ({
    threshold,
    accuracy: mean(networks.map((each) => each[i]!.accuracy)),
    milliseconds: mean(networks.map((each) => each[i]!.milliseconds)),
    operations: mean(networks.map((each) => each[i]!.operations)),
  }));
}
