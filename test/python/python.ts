import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const inRoot = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const candidates = [process.env['PYTHON'], inRoot('.venv/bin/python'), 'python3'];

/** A Python that has NumPy; `undefined` where there is none, which is said once. */
export const python = candidates.find(
  (each) => each && spawnSync(each, ['-c', 'import numpy']).status === 0,
);
if (!python) console.warn('No Python with NumPy: skipped. `pip install numpy`, or set PYTHON.');

/** What a script of this folder prints, as JSON. */
export function runPython(script: string, ...args: readonly string[]): unknown {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { status, stdout, stderr } = spawnSync(python!, [path, ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${script} failed:\n${stderr}`);
  return JSON.parse(stdout);
}
