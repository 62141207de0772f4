/** Networks that a study trained, opened again. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildConfig, makeSessionConfig, openSource } from '@espalier/config';
import { createSession, readJson, EspalierError, keyedRng } from '@espalier/core';
import type { RawBatch, Session, Source } from '@espalier/core';
import { fileStore } from '@espalier/core/node';
import type { TrialJob } from '@espalier/study';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** A session as it was after the last epoch of a trial, and the study's test data. */
export interface Trained {
  readonly session: Session;
  /** `[examples, height, width, channels]`; the caller's to dispose. */
  readonly x: Tensor;
  /** Class ids `[examples]`. */
  readonly labels: Int32Array;
}

/**
 * Opens the trial with that id in the folder of a study.
 *
 * @throws EspalierError `metadistiller/no-checkpoint`.
 */
export async function openTrial(studyDir: string, id: string): Promise<Trained> {
  const dir = join(studyDir, 'trials', id);
  const job = readJson(await readFile(join(dir, 'job.json'), 'utf8')) as TrialJob;
  const loaded = buildConfig(job.base as never, { file: job.file, sets: job.sets });
  const session = await createSession({
    ...(await makeSessionConfig(loaded)),
    seed: job.seed,
    backend: { prefer: job.backend.name as never, threads: job.backend.threads },
    checkpoint: { store: fileStore(join(dir, 'checkpoints')) },
  });
  if (!(await session.load())) {
    await session.dispose();
    throw noCheckpoint(dir);
  }
  return { session, ...(await allOf((await openSource(loaded, 'test'))!)) };
}

async function allOf(source: Source): Promise<Omit<Trained, 'session'>> {
  const batches: RawBatch[] = [];
  const stream = keyedRng(0);
  for await (const batch of source.iterate({ epoch: 0, skip: 0, stream })) batches.push(batch);
  const inputs = batches.map(({ x }) => x as Tensor);
  const targets = batches.map(({ y }) => y as Tensor);
  const [x, y] = [tf.concat(inputs), tf.concat(targets)];
  const labels = (await y.data<'int32'>()) as Int32Array;
  tf.dispose([y, ...inputs, ...targets]);
  return { x, labels };
}

function noCheckpoint(dir: string): EspalierError {
  return new EspalierError('metadistiller/no-checkpoint', {
    problem: `there is no checkpoint of the trained network in ${dir}`,
    fix: 'Put it back, or run the study again in another dir.',
  });
}
