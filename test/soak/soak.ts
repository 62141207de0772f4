import type { BackendInfo } from '@espalier/backend';
import { fileStore } from '@espalier/core/node';
import * as tf from '@tensorflow/tfjs-core';
import { BATCHES } from './runs.js';
import type { SoakRun } from './runs.js';

/** What a run came to. Ranges are lowest and highest. */
interface SoakResult {
  readonly steps: number;
  readonly tensors: string;
  readonly bytes: string;
  /** Resident memory in MiB, after garbage collection, in each half. */
  readonly early: string;
  readonly late: string;
  readonly seconds: number;
  readonly faults: readonly string[];
}

interface Mark {
  readonly tensors: number;
  readonly bytes: number;
  readonly resident: number;
}

interface SoakOptions {
  readonly backend: BackendInfo;
  readonly dir: string;
  readonly steps: number;
}

/** Marks of a run; those of the first tenth are not compared. */
const [MARKS, FIRST] = [40, 4];
/** By how much the least resident memory of the second half may be above that of the first. */
const MIB = 2 ** 20;
const GROWTH = 8 * MIB;

/** Trains through the transforms, then for long, with checkpoints and validation in between. */
export async function soak(
  run: SoakRun,
  { backend, dir, steps }: SoakOptions,
): Promise<SoakResult> {
  const begin = performance.now();
  const epochs = Math.ceil(steps / BATCHES / MARKS);
  const checkpoint = { store: fileStore(dir), everyEpochs: epochs, keep: 2 };
  const session = await run.open({ backend, checkpoint });
  const marks: Mark[] = [];
  try {
    await session.fit({ epochs: 1 });
    for (const plugin of run.transforms) {
      await session.transform({ plugins: [plugin] });
      await session.fit({ epochs: 1 });
    }
    for (let i = 0; i < MARKS; i++) {
      await session.fit({ epochs });
      marks.push(takeMark());
    }
    return {
      ...compareMarks(marks.slice(FIRST)),
      steps: session.clock.step,
      seconds: (performance.now() - begin) / 1000,
    };
  } finally {
    await session.dispose();
  }
}

function takeMark(): Mark {
  globalThis.gc!();
  const { numTensors: tensors, numBytes: bytes } = tf.memory();
  return { tensors, bytes, resident: process.memoryUsage().rss };
}

function compareMarks(marks: readonly Mark[]) {
  const of = (key: keyof Mark, some = marks) => some.map((mark) => mark[key]);
  const half = marks.length / 2;
  const halves = [marks.slice(0, half), marks.slice(half)].map((some) => of('resident', some));
  const [before, after] = halves.map((some) => Math.min(...some)) as [number, number];
  const faults = (['tensors', 'bytes'] as const)
    .filter((key) => new Set(of(key)).size > 1)
    .map((key) => `${key} are not flat: ${of(key).join(', ')}`);
  if (after > before + GROWTH) {
    faults.push(`resident memory grew by ${toMib(after - before)} MiB`);
  }
  const [early, late] = halves.map((some) => toRange(some.map((bytes) => Number(toMib(bytes)))));
  return {
    tensors: toRange(of('tensors')),
    bytes: toRange(of('bytes')),
    early: early!,
    late: late!,
    faults,
  };
}

const toMib = (bytes: number): string => (bytes / MIB).toFixed(0);

function toRange(values: readonly number[]): string {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low === high ? `${low}` : `${low} to ${high}`;
}
