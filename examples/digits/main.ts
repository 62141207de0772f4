import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { useBackend } from '@espalier/backend';
import type { BackendInfo } from '@espalier/backend';
import { makeFolder } from '@espalier/core/node';
import { toText } from '@espalier/report';
import { assess } from './assess.js';
import { loadDigits, sourceOf } from './data.js';
import type { Digits } from './data.js';
import { parseOptions } from './options.js';
import type { Options } from './options.js';
import { digitsPage } from './page.js';
import { BATCH_SIZE, RECIPES } from './recipes.js';
import { byRecipe } from './result.js';
import type { Results, RunResult } from './result.js';
import {
  accuracyTable,
  costTable,
  curveTable,
  gainTable,
  teachingTable,
  withExits,
  withTargets,
} from './tables.js';
import { trainRun } from './train.js';

type Data = Readonly<Record<'train' | 'validation' | 'test', Digits>>;

const interrupt = new AbortController();
// Once: a second Ctrl-C ends the process at once.
process.once('SIGINT', () => interrupt.abort());

try {
  await main(parseOptions(process.argv.slice(2)));
} catch (error) {
  console.error(interrupt.signal.aborted ? '\nStopped.' : (error as Error).message);
  process.exitCode = interrupt.signal.aborted ? 130 : 1;
}

async function main(options: Options): Promise<void> {
  makeOutput(options.out);
  const data = loadDigits({ train: options.trainPerClass, validation: 30, test: 100 });
  // Always the same backend, so that the times of two machines can be compared.
  const backend = await useBackend({ prefer: 'wasm' });
  console.log(backend.line);
  const runs = await runAll(data, options, backend);
  const results = byRecipe(runs);
  const caveat = caveatFor(options.seeds);
  print(results, caveat);
  const images = {
    train: count(data.train),
    validation: count(data.validation),
    test: count(data.test),
  };
  const page = join(options.out, 'index.html');
  await writeFile(page, digitsPage(results, { options, backend, caveat, images }));
  console.log(`\nPage: ${page}`);
}

function makeOutput(path: string): void {
  try {
    makeFolder(path);
  } catch (cause) {
    throw new Error(`--out ${path} cannot be made a folder: ${(cause as Error).message}`, {
      cause,
    });
  }
}

async function runAll(data: Data, options: Options, backend: BackendInfo): Promise<RunResult[]> {
  const { seed, seeds, out, epochs } = options;
  const { signal } = interrupt;
  const train = sourceOf(data.train, BATCH_SIZE, true);
  const validation = sourceOf(data.validation, 128, false);
  const all = Array.from({ length: seeds }, (_, i) => seed + i).flatMap((each) =>
    RECIPES.map((recipe) => ({ recipe, seed: each })),
  );
  const results: RunResult[] = [];
  for (const [i, { recipe, seed }] of all.entries()) {
    console.log(`\nRun ${i + 1} of ${all.length}: ${recipe.name}, seed ${seed}`);
    if (Object.keys(recipe.preset.plugins).length > 0) {
      console.log("loss sums the terms of all exits; val/loss is that of the network's own output");
    }
    const { session, ...trained } = await trainRun(recipe, seed, {
      train,
      validation,
      epochs,
      backend,
      out,
      signal,
    });
    const assessment = await assess(session, data.test);
    const { manifest } = session.inspect();
    results.push({ recipe: recipe.name, seed, manifest, ...trained, ...assessment });
    await session.dispose();
    signal.throwIfAborted();
  }
  return results;
}

function print(results: Results, caveat: string): void {
  const gain = gainTable(results);
  const curves = [...withExits(results)].map(([recipe, [first]]) => curveTable(recipe, first!));
  const teaching = [...withTargets(results)].map(([recipe, [first]]) =>
    teachingTable(recipe, first!),
  );
  const comparison = [accuracyTable(results), ...(gain ? [gain] : []), ...teaching];
  for (const table of [...comparison, costTable(results), ...curves]) {
    console.log(`\n${table.title}\n${toText(table)}${table.caption ?? ''}`.trimEnd());
  }
  console.log(`\n${caveat}`);
}

function caveatFor(seeds: number): string {
  return seeds === 1
    ? 'One seed is a demonstration, not evidence: another seed moves these accuracies by about a point (npm start -- --seeds 5 shows it).'
    : `${seeds} seeds, paired: mean [lowest, highest]. Differences smaller than that range are not evidence.`;
}

function count({ y }: Digits): number {
  return y.shape[0]!;
}
