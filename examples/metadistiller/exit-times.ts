import { predictEarly } from '@espalier/plugin-multi-exit';
import { openTrial } from './trained.js';
import type { Trained } from './trained.js';

/** At one threshold. */
export interface ExitTimes {
  readonly threshold: number;
  readonly accuracy: number;
  /** Measured, per image in batches of 128. */
  readonly milliseconds: number;
  /** Share of the multiply-accumulates of all exits. */
  readonly operations: number;
}

const NEVER = 1.01; // above every probability
const THRESHOLDS = [0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, NEVER];
const REPEATS = 3;

/** One of the networks, and what was measured of it. */
interface Subject extends Trained {
  readonly row: string;
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
      const times = THRESHOLDS.map((): number[] => []);
      subjects.push({ row, times, ...(await openTrial(studyDir, id)) });
    }
  }
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    for (const [i, threshold] of THRESHOLDS.entries()) {
      for (const { session, x, labels, times } of subjects) {
        const { milliseconds } = await predictEarly(session.model, x, { threshold });
        times[i]!.push(milliseconds / labels.length);
      }
    }
  }
  const measured = new Map<Subject, readonly ExitTimes[]>();
  for (const subject of subjects) measured.set(subject, await exitsOf(subject));
  for (const { session, x } of subjects) {
    x.dispose();
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
  const predict = (threshold: number) => predictEarly(session.model, x, { threshold });
  const whole = await predict(NEVER);
  const found: ExitTimes[] = [];
  for (const [i, threshold] of THRESHOLDS.entries()) {
    const prediction = await predict(threshold);
    const right = prediction.labels.filter((label, k) => label === labels[k]).length;
    found.push({
      threshold,
      accuracy: right / labels.length,
      milliseconds: times[i]!.toSorted((a, b) => a - b)[Math.floor(REPEATS / 2)]!,
      operations: prediction.macs / whole.macs,
    });
  }
  return found;
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
