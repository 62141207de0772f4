/** A deeper network that teaches by knowledge distillation: trained once, by `train-teacher.ts`. */
import { join } from 'node:path';
import { cosineSchedule, createSession, crossEntropy, EspalierError, sgd } from '@espalier/core';
import type { Clock, Session } from '@espalier/core';
import { fileStore } from '@espalier/core/node';
import type { Teacher } from '@espalier/plugin-soft-targets';
import * as cifar from '../cifar/data.js';
import * as fashionMnist from '../fashion-mnist/data.js';
import { resnet } from '../networks/resnet.js';
import { BATCH_SIZE, IMAGES, learningRate, MOMENTUM } from './budget.js';
import type { Dataset } from './datasets.js';

/** What identifies a teacher. */
export interface TeacherOptions {
  /** 6n + 2. */
  readonly depth: number;
  readonly epochs: number;
  readonly seed: number;
  /** What it learns. */
  readonly dataset: Dataset;
}

/** What the token `teacher` takes. @throws EspalierError `metadistiller/no-teacher`. */
export function load(options: TeacherOptions): Teacher {
  return {
    model: async () => {
      const session = await teacherSession(options);
      try {
        await session.load();
        if (session.clock.epoch < options.epochs) throw noTeacher(options, session.clock);
        return session.export();
      } finally {
        await session.dispose();
      }
    },
  };
}

/** A run that trains it on the images, and with the recipe, of the study's base; it saves as it goes. */
export function teacherSession(options: TeacherOptions): Promise<Session> {
  const { depth, epochs, seed, dataset } = options;
  const { train, validation } = dataset.name === 'fashion-mnist' ? fashionMnist : cifar;
  return createSession({
    model: () => resnet({ depth, ...dataset.network, shape: [...dataset.network.shape] }),
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: cosineSchedule(learningRate(epochs)), ...MOMENTUM }),
    train: train({ images: IMAGES, batchSize: BATCH_SIZE, dir: dataset.dir }),
    validation: validation({ images: IMAGES, dir: dataset.dir }),
    seed,
    checkpoint: { store: fileStore(folderOf(options)), keep: 1 },
  });
}

function folderOf({ depth, epochs, seed, dataset }: TeacherOptions): string {
  return join('runs', `teacher-${dataset.name}`, `resnet-${depth}-${epochs}-epochs-seed-${seed}`);
}

function noTeacher(options: TeacherOptions, { epoch }: Clock): EspalierError {
  return new EspalierError('metadistiller/no-teacher', {
    problem: `${folderOf(options)} holds no teacher that was trained to its end: ${epoch} of ${options.epochs} epochs`,
    fix: 'Run node examples/dist/metadistiller/train-teacher.js in the root of the repository.',
  });
}
