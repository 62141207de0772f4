import { execFileSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readJson } from './workspaces.mjs';

/** One tarball, as `npm pack` made it. */
export interface Packed {
  readonly name: string;
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/** A project outside the repository that has tarballs installed. */
export interface Consumer {
  readonly folder: string;
  readonly packed: readonly Packed[];
  /** Runs a program in the project; what it prints. */
  run(program: string, ...args: readonly string[]): string;
}

/**
 * A project below `base` with the files of the folder `source`, in which the command `npm run pack` installed the
 * packages named (none: its defaults).
 */
export function installPacked(base: string, source: string, names: readonly string[]): Consumer {
  const folder = join(base, source);
  cpSync(fileURLToPath(new URL(source, import.meta.url)), folder, { recursive: true });
  const command = fileURLToPath(new URL('pack.mjs', import.meta.url));
  const run = (program: string, ...args: readonly string[]) => execute(program, args, folder);
  run(process.execPath, command, folder, ...names);
  return { folder, packed: readJson(join(folder, 'packed/packed.json')), run };
}

function execute(program: string, args: readonly string[], cwd: string): string {
  return execFileSync(program, args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 26 });
}
