#!/usr/bin/env node
/**
 * Damages small files of every format and reads them: npm run fuzz:formats -- --mutations 20000 --seed 7
 * The first thousand of seed 0 are part of `npm run test:long`.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    mutations: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '0' },
  },
});
const env = { ...process.env, ESPALIER_MUTATIONS: values.mutations, ESPALIER_SEED: values.seed };
const args = [
  'vitest',
  'run',
  '--project',
  'long',
  '--testTimeout=3600000',
  'core/formats/test/fuzz.long.ts',
];
process.exitCode = spawnSync('npx', args, { env, stdio: 'inherit' }).status ?? 1;
