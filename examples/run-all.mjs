// Runs every example but digits/main, one after the other, each in a process and a folder of its own
// making; ends with 1 if any failed.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const espalier = fileURLToPath(new URL('../bin/espalier.js', import.meta.resolve('espalier')));
const scratch = await mkdtemp(join(tmpdir(), 'espalier-examples-'));

const programs = [
  'attached',
  'raw-variables',
  'own-loop',
  'own-plugin',
  'swap-a-component',
  'resume',
  'sharpness-aware',
  'low-rank-adapters/main',
  'noise-scale/main',
  'learned-rates',
  'meta-weight-net',
  'early-exit',
  'pure-functions',
  'programs/main',
].map((name) => ({ name, args: [`dist/${name}.js`] }));

/** The command on a configuration, with checkpoints in a folder that nobody used before. */
const command = (verb, config, ...options) => ({
  name: ['espalier', verb, config, ...options].join(' '),
  args: [espalier, verb, config, ...options, '--set', `checkpoint.dir=${join(scratch, config)}`],
});
const commands = ['config/espalier.config.ts', 'config/espalier.json'].flatMap((config) => [
  command('train', config),
  command('train', config, '--resume', '--epochs', '4'),
  command('eval', config),
]);

let failed = 0;
for (const { name, args } of [...programs, ...commands]) {
  const started = Date.now();
  const { code, output } = await run(args);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`${code === 0 ? 'ok    ' : 'failed'} ${seconds.padStart(5)} s  ${name}`);
  if (code === 0) continue;
  failed += 1;
  console.log(output.replace(/^/gm, '    | '));
}
await rm(scratch, { recursive: true });
console.log(failed === 0 ? 'All ran.' : `${failed} failed.`);
process.exitCode = failed === 0 ? 0 : 1;

/** Runs Node in this folder; gives the exit code (null: killed) and all that was written. */
function run(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: here, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}
