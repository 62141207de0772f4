import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const inRoot = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const pythons = [process.env['PYTHON'], inRoot('.venv/bin/python'), 'python3'];

/** A Python that has NumPy; where there is none, `undefined`. */
export function findPython(): string | undefined {
  return pythons.find((each) => each && hasModule(each, 'numpy'));
}

export function hasModule(python: string, module: string): boolean {
  return spawnSync(python, ['-c', `import ${module}`]).status === 0;
}
