import { rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { quoteWord } from '@espalier/base';
import { EspalierError } from '@espalier/core';
import { isPlanOf, packStudy, StudyStore, unpackStudy } from '@espalier/study';
import { print } from '../print.js';
import { readPacked, readStudy, resultsFolder } from '../study/packed-file.js';

/** Writes what is known of a study into one compressed file. */
export async function pack(path: string, { out }: { readonly out?: string }): Promise<void> {
  const study = await readStudy(path);
  const target = out ?? join(dirname(study.file), `${study.name}.study.gz`);
  if (!target.endsWith('.gz')) throw wrongName(target);
  const store = StudyStore.read(study.dir);
  try {
    if (!store) throw nothingToPack(path);
    const [bytes, trials] = store.together(() => [packStudy(store), store.trials().length]);
    await replaceFile(target, bytes);
    const size = (bytes.length / 1e6).toFixed(2);
    print(`${target}: ${trials} trials, ${size} MB`);
    if (isPlanOf(store.plan()!, study)) return;
    print(
      `The study has changed since its last run; the file has the plan of that run. For the present one: espalier study run ${quoteWord(path)}, then pack again.`,
    );
  } finally {
    store?.close();
  }
}

/** Puts a packed study back, so that `study run` goes on. */
export async function unpack(path: string, { dir }: { readonly dir?: string }): Promise<void> {
  const packed = await readPacked(path);
  const target = resolve(dir ?? resultsFolder(path, packed.plan()!, '--dir'));
  unpackStudy(packed, target);
  print(`${packed.trials().length} trials in ${target}`);
}

async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const aside = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(aside, bytes);
    await rename(aside, path);
  } catch (cause) {
    await rm(aside, { force: true });
    throw new EspalierError('cli/packed', {
      problem: `cannot write ${path}: ${(cause as Error).message}`,
      fix: 'Choose another file with --out.',
      cause,
    });
  }
}

function wrongName(path: string): EspalierError {
  return new EspalierError('cli/packed', {
    problem: `${path} is no name of a packed study`,
    fix: 'Let it end in .gz: --out my.study.gz.',
  });
}

function nothingToPack(path: string): EspalierError {
  return new EspalierError('cli/no-results', {
    problem: 'the study has not run yet',
    fix: `Run it first: espalier study run ${quoteWord(path)}.`,
  });
}
