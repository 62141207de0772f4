import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildConfig, makeSessionConfig } from '@espalier/config';
import { createSession } from '@espalier/core';
import { fileStore } from '@espalier/core/node';
import { analyse, loadStudy, Planner } from '@espalier/study';
import type { PlannedRow } from '@espalier/study';
import { firstDifference, onBackend, valuesOf } from '@espalier/testkit';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { chosenDataset } from '../../examples/metadistiller/datasets.js';
import { load, teacherSession } from '../../examples/metadistiller/teacher.js';
import { openTrial } from '../../examples/metadistiller/trained.js';

const before = process.cwd();
let folder: string;
beforeAll(() => onBackend('cpu'));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'metadistiller-test-'));
  process.chdir(folder);
});
afterEach(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

/** Black images of ten classes, as IDX files. */
function putImages(dir: string, count: number): void {
  const idx = (shape: readonly number[], bytes: Uint8Array) => {
    const header = Buffer.alloc(4 + 4 * shape.length);
    [0x800 + shape.length, ...shape].forEach((each, i) => header.writeUInt32BE(each, 4 * i));
    return Buffer.concat([header, bytes]);
  };
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 10);
  mkdirSync(dir, { recursive: true });
  const pixels = idx([count, 28, 28], new Uint8Array(count * 784));
  writeFileSync(join(dir, 'train-images-idx3-ubyte'), pixels);
  writeFileSync(join(dir, 'train-labels-idx1-ubyte'), idx([count], labels));
}

describe('the studies', () => {
  const planned = async (file: string) => {
    const study = await loadStudy(join(before, 'examples', 'metadistiller', file));
    const planner = await Planner.create(study);
    const rows: PlannedRow[] = [];
    for await (const row of planner.rows()) rows.push(row);
    await analyse(planner, rows, undefined); // what is tuned is checked here
    return rows.map(({ name, hash }) => `${name} ${hash}`);
  };

  test('have rows and what they tune; the large one goes on from the screening', async () => {
    putImages(chosenDataset({}).dir, 12_000);
    const [screen, study] = [await planned('screen.ts'), await planned('study.ts')];
    expect(screen).toEqual(expect.arrayContaining(study));
    expect(study).toHaveLength(6);
    expect(await planned('interval.ts')).toHaveLength(6);
  });
});

describe('the teacher', () => {
  test('is refused where its training did not begin or is not over', async () => {
    const dataset = chosenDataset({});
    putImages(dataset.dir, 12_000);
    const options = { depth: 8, epochs: 2, seed: 1, dataset };
    const refused = () =>
      expect(load(options).model!()).rejects.toThrow(/0 of 2 epochs.*no-teacher/);
    await refused();
    const session = await teacherSession(options);
    await session.save();
    await session.dispose();
    await refused();
  });
});

describe('a trial of a study', () => {
  const fixtures = fileURLToPath(new URL('../../core/study/test/fixtures', import.meta.url));
  const base: unknown = JSON.parse(readFileSync(join(fixtures, 'base.json'), 'utf8'));
  const job = { base, file: join(fixtures, 'study.json'), sets: [], seed: 1 };

  beforeEach(() => {
    const dir = join(folder, 'trials', 'one');
    mkdirSync(dir, { recursive: true });
    const backend = { name: 'cpu', threads: 1 };
    writeFileSync(join(dir, 'job.json'), JSON.stringify({ ...job, backend }));
  });

  test('is opened as it was saved, with all test data', async () => {
    const session = await createSession({
      ...(await makeSessionConfig(buildConfig(base as never, job))),
      seed: job.seed,
      checkpoint: { store: fileStore(join(folder, 'trials', 'one', 'checkpoints')) },
    });
    await session.fit({ epochs: 1 });
    const opened = await openTrial(folder, 'one');
    const [saved, found] = [session, opened.session].map((each) => valuesOf(each.parameters()));
    expect(firstDifference(saved!, found!)).toBeUndefined();
    expect(opened.labels).toHaveLength(opened.x.shape[0]!);
    opened.x.dispose();
    await opened.session.dispose();
    await session.dispose();
  });

  test('is refused without a checkpoint: its network would be an untrained one', async () => {
    await expect(openTrial(folder, 'one')).rejects.toThrow(
      /no checkpoint.*trials.one.*no-checkpoint/,
    );
  });
});
