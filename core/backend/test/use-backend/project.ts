import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const packages = fileURLToPath(new URL('../../..', import.meta.url));
const installed = fileURLToPath(new URL('../../../../node_modules', import.meta.url));
const alwaysThere = [
  ...['tfjs-core', 'tfjs-layers', 'tfjs-backend-cpu', 'tfjs-backend-wasm'].map(
    (name) => `@tensorflow/${name}`,
  ),
  'fastest-levenshtein',
  'seedrandom',
  'zod',
];

/** Contents by path in `node_modules`; each package gets a manifest besides. */
export type Packages = Readonly<Record<string, Readonly<Record<string, string>>>>;

function addPackage(modules: string, id: string, files: Readonly<Record<string, string>>): void {
  const manifest = JSON.stringify({ name: id, version: '4.22.0', main: 'index.js' });
  for (const [file, content] of Object.entries({ 'package.json': manifest, ...files })) {
    const target = path.join(modules, id, file);
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, content);
  }
}

/** Copies, so that Node finds what the package imports in this project. */
function addBuilt(modules: string, name: string): void {
  for (const part of ['dist', 'package.json']) {
    const target = path.join(modules, '@espalier', name, part);
    cpSync(path.join(packages, name, part), target, { recursive: true });
  }
}

/** A project of its own that has the built package, what comes with it, and the given packages. */
export function makeProject(more: Packages = {}): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'espalier-project-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const modules = path.join(folder, 'node_modules');
  mkdirSync(path.join(modules, '@tensorflow'), { recursive: true });
  for (const name of alwaysThere) {
    symlinkSync(path.join(installed, name), path.join(modules, name));
  }
  for (const name of ['backend', 'base']) addBuilt(modules, name);
  for (const [id, files] of Object.entries(more)) addPackage(modules, id, files);
  return folder;
}

/** Runs a module there that may use `useBackend` and `tf`; it has to end by itself. */
export function runModule(folder: string, body: string, args: readonly string[] = []) {
  const imports =
    `import * as tf from '@tensorflow/tfjs-core';` +
    `import { useBackend } from '@espalier/backend';`;
  const flags = [...args, '--input-type=module', '--eval', `${imports}\n${body}`];
  const done = spawnSync(process.execPath, flags, {
    cwd: folder,
    encoding: 'utf8',
    timeout: 50_000,
  });
  return { status: done.status, stdout: done.stdout.trim(), stderr: done.stderr };
}

/** What a module there prints as JSON. */
export function evaluate<T>(folder: string, body: string): T {
  const { stdout, stderr } = runModule(folder, body);
  try {
    return JSON.parse(stdout) as T;
  } catch {
    throw new Error(`No JSON: ${stdout}\n${stderr}`);
  }
}
