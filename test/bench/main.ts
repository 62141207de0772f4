import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { compareCheckouts } from './against.js';
import { benchAttach } from './attach.js';
import { benchBackend } from './backend.js';
import { benchEmbeddings } from './embeddings.js';
import { EMBEDDINGS_OPTIONS } from './embeddings/options.js';
import { benchGroupReduce } from './group-reduce.js';
import { benchLargeMatrix, LARGE_OPTIONS } from './large-matrix.js';
import { benchLinalg } from './linalg.js';
import { round } from './measure.js';
import type { Figure } from './measure.js';
import { benchMetadistiller } from './metadistiller.js';
import { benchNative } from './native.js';
import { benchOverhead } from './overhead.js';
import { benchStudy } from './study.js';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    against: { type: 'string' },
    ...EMBEDDINGS_OPTIONS,
    ...LARGE_OPTIONS,
  },
});

const BENCHES: Readonly<Record<string, (options: typeof values) => Promise<readonly Figure[]>>> = {
  backend: benchBackend,
  native: benchNative,
  attach: benchAttach,
  overhead: benchOverhead,
  linalg: benchLinalg,
  'group-reduce': benchGroupReduce,
  metadistiller: benchMetadistiller,
  study: benchStudy,
  embeddings: benchEmbeddings,
  'large-matrix': benchLargeMatrix,
};
/** They take an hour, and gigabytes of disk: only where they are named. */
const NAMED_ONLY = ['embeddings', 'large-matrix'];

const unknown = positionals.find((name) => !BENCHES[name]);
if (unknown !== undefined) {
  console.error(`No bench '${unknown}'. Known: ${Object.keys(BENCHES).join(', ')}.`);
  process.exit(2);
}
const machine = `${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, Node ${process.version}`;
const failed: Figure[] = [];
if (!values.json) console.log(`Machine: ${machine}`);
const others = Object.keys(BENCHES).filter((name) => !NAMED_ONLY.includes(name));
for (const name of positionals.length > 0 ? positionals : others) {
  if (!values.json) console.log(`\n${name}`);
  if (values.against !== undefined) {
    reportComparison(name, values.against);
    continue;
  }
  for (const figure of await BENCHES[name]!(values)) {
    const ok = figure.target === undefined || figure.value <= figure.target;
    if (!ok) failed.push(figure);
    report({ ...figure, name: `${name}/${figure.name}` }, ok);
  }
}
if (failed.length > 0) {
  console.error(
    `\n${failed.length} target(s) missed: ${failed.map(({ name }) => name).join(', ')}`,
  );
  process.exitCode = 1;
}

function report({ name, value, unit, target, spread }: Figure, ok: boolean): void {
  if (values.json) {
    console.log(JSON.stringify({ name, value, unit, target, ok, spread, machine }));
    return;
  }
  const goal = target === undefined ? '' : ` (target ≤ ${target} ${unit}: ${ok ? 'ok' : 'MISSED'})`;
  console.log(`  ${name}: ${round(value)} ${unit}${goal}${spread ? `   ${spread}` : ''}`);
}

function reportComparison(bench: string, folder: string): void {
  for (const { name, unit, here, there, differences } of compareCheckouts(bench, folder, values)) {
    if (values.json) {
      console.log(
        JSON.stringify({ name, unit, here, there, differences, against: folder, machine }),
      );
      continue;
    }
    const [low, middle, high] = [0, differences.length >> 1, differences.length - 1].map((i) =>
      round(differences[i]!),
    );
    console.log(
      `  ${name}: ${round(here)} ${unit} here, ${round(there)} there; difference ${middle}`,
    );
    console.log(`    [${low} to ${high}] over ${differences.length} pairs of runs`);
  }
}
