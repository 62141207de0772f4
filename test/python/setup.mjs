#!/usr/bin/env node
/**
 * Makes .venv if there is none and puts NumPy, scikit-learn and faiss there, for the side-by-side benches
 * and the tests that read with NumPy. Running it again installs only what is missing.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const python = `${root}.venv/bin/python`;

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (status === 0) return;
  console.error(
    `setup-python: ${[command, ...args].join(' ')} failed${error ? `: ${error.message}` : ''}`,
  );
  process.exit(1);
}

if (!existsSync(python)) run(process.env.PYTHON ?? 'python3', '-m', 'venv', `${root}.venv`);
run(python, '-m', 'pip', 'install', '--quiet', 'numpy', 'scikit-learn', 'faiss-cpu');
run(
  python,
  '-c',
  'import faiss, numpy, sklearn; print(f"NumPy {numpy.__version__}, scikit-learn {sklearn.__version__}, faiss {faiss.__version__} in .venv")',
);
