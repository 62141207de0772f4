/**
 * Trains for long with all plugins that go together, and looks whether anything grows: npm run soak -- --steps 20000
 * --backend wasm --backend cpu. Exits with 1 where tensors, their bytes or resident memory are not flat.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { useBackend } from '@espalier/backend';
import type { BackendName } from '@espalier/backend';
import { table, toText } from '@espalier/report';
import { RUNS } from './runs.js';
import { soak } from './soak.js';

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '20000' },
    backend: { type: 'string', multiple: true, default: ['wasm', 'cpu'] },
  },
});

const rows: Readonly<Record<string, string | number>>[] = [];
for (const prefer of values.backend) {
  const backend = await useBackend({ prefer: prefer as BackendName });
  for (const run of RUNS) {
    const dir = mkdtempSync(join(tmpdir(), 'soak-'));
    console.log(`${backend.name}, ${run.name}`);
    const { faults, ...figures } = await soak(run, { backend, dir, steps: Number(values.steps) });
    rmSync(dir, { recursive: true });
    rows.push({ run: run.name, backend: backend.name, ...figures });
    for (const fault of faults) console.log(`  FAILED: ${fault}`);
    if (faults.length > 0) process.exitCode = 1;
  }
}
console.log(
  toText(
    table({
      title: 'From the first tenth to the end',
      columns: [
        { key: 'run', label: 'run' },
        { key: 'backend', label: 'backend' },
        { key: 'steps', label: 'steps' },
        { key: 'tensors', label: 'tensors' },
        { key: 'bytes', label: 'bytes' },
        { key: 'early', label: 'MiB, first half' },
        { key: 'late', label: 'MiB, second half' },
        { key: 'seconds', label: 's', format: { style: 'fixed', digits: 0 } },
      ],
      rows,
    }),
  ),
);
