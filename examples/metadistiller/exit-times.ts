import { predictEarly } from '@espalier/plugin-multi-exit';
import { openTrial } from './trained.js';

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

/**
 * Accuracy and time of networks that a study trained, over thresholds of the highest probability: means
 * over the networks, of each the median of some repeats; thresholds take turns.
 */
export async function exitTimes(
  studyDir: string,
  trials: readonly string[],
): Promise<readonly ExitTimes[]> {
  const each: (readonly ExitTimes[])[] = [];
  for (const id of trials) each.push(await timesOf(studyDir, id));
  return THRESHOLDS.map((threshold, i) => ({
    threshold,
    accuracy: mean(each.map((times) => times[i]!.accuracy)),
    milliseconds: mean(each.map((times) => times[i]!.milliseconds)),
    operations: mean(each.map((times) => times[i]!.operations)),
  }));
}

async function timesOf(studyDir: string, id: string): Promise<readonly ExitTimes[]> {
  const { session, x, labels } = await openTrial(studyDir, id);
  const predict = (threshold: number) => predictEarly(session.model, x, { threshold });
  const whole = await predict(NEVER);
  const times = THRESHOLDS.map((): number[] => []);
  const found: ExitTimes[] = [];
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    for (const [i, threshold] of THRESHOLDS.entries()) {
      const { milliseconds, macs, ...prediction } = await predict(threshold);
      times[i]!.push(milliseconds / labels.length);
      const right = prediction.labels.filter((label, k) => label === labels[k]).length;
      found[i] = {
        threshold,
        accuracy: right / labels.length,
        milliseconds: times[i]!.toSorted((a, b) => a - b)[Math.floor(times[i]!.length / 2)]!,
        operations: macs / whole.macs,
      };
    }
  }
  x.dispose();
  await session.dispose();
  return found;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
