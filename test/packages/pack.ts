import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './workspaces.js';
import type { Workspace } from './workspaces.js';

/** One tarball, as `npm pack` made it. */
export interface Packed {
  readonly name: string;
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/** A project outside the repository that has every tarball installed. */
export interface Consumer {
  readonly folder: string;
  readonly packed: readonly Packed[];
  /** Runs a program in the project; what it prints. */
  run(program: string, ...args: readonly string[]): string;
}

/** What a user installs beside the packages. */
const besides = ['@tensorflow/tfjs-core@4', '@tensorflow/tfjs-layers@4', '@types/node@20'];

/** Packs the workspaces into `base` and installs them there, without running any install script. */
export function installPacked(workspaces: readonly Workspace[], base: string): Consumer {
  const folder = join(base, 'consumer');
  mkdirSync(folder);
  const packed = pack(workspaces, base);
  const run = (program: string, ...args: readonly string[]) => execute(program, args, folder);
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  const tarballs = packed.map(({ filename }) => join(base, filename));
  run('npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', ...tarballs, ...besides);
  cpSync(fileURLToPath(new URL('consumer', import.meta.url)), folder, { recursive: true });
  return { folder, packed, run };
}

function pack(workspaces: readonly Workspace[], destination: string): readonly Packed[] {
  const names = workspaces.map(({ manifest }) => `--workspace=${manifest.name}`);
  const args = ['pack', '--json', `--pack-destination=${destination}`, ...names];
  return JSON.parse(execute('npm', args, root)) as Packed[];
}

function execute(program: string, args: readonly string[], cwd: string): string {
  return execFileSync(program, args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 26 });
}
