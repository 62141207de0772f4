import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { arch, cpus, platform, totalmem } from 'node:os';
import type { PlannedBackend } from './planned-row.js';

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

/** Where trials ran, for people: no part of their identity. */
export interface Environment {
  /** Git commit of the study's folder, and whether tracked files of code differed from it; null outside a repository. */
  readonly commit: { readonly hash: string; readonly dirty: boolean } | null;
  readonly espalier: string;
  readonly node: string;
  readonly backend: string;
  /** As in `2 × AMD EPYC, 24 GiB, linux x64`. */
  readonly machine: string;
}

export function readEnvironment(folder: string, { name, version: of, device }: PlannedBackend) {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  const environment: Environment = {
    commit: readCommit(folder),
    espalier: version,
    node: process.versions.node,
    backend: `${name} ${of}${device === null ? '' : `, ${device}`}`,
    machine: `${cpus().length} × ${cpu?.model.trim() ?? 'unknown'}, ${memory} GiB, ${platform()} ${arch()}`,
  };
  return environment;
}

const commits = new Map<string, Environment['commit']>();

/** The code was loaded once: one look at a folder is enough. */
function readCommit(folder: string): Environment['commit'] {
  const known = commits.get(folder);
  if (known !== undefined) return known;
  const found = askGit(folder);
  commits.set(folder, found);
  return found;
}

const CODE = ['*.[jt]s', '*.[cm][jt]s', '*.[jt]sx', 'package.json', 'package-lock.json'];

function askGit(folder: string): Environment['commit'] {
  try {
    const code = CODE.map((name) => `:(top,glob)**/${name}`);
    const args = ['status', '--porcelain=v2', '--branch', '--untracked-files=no', '--', ...code];
    const stdio: 'pipe'[] | 'ignore'[] = ['ignore', 'pipe', 'ignore'] as never;
    const text = execFileSync('git', args, { cwd: folder, encoding: 'utf8', stdio });
    const hash = /^# branch\.oid ([0-9a-f]{40,64})$/m.exec(text)?.[1];
    return hash === undefined ? null : { hash, dirty: /^[^#]/m.test(text) };
  } catch {
    return null; // no git, or no repository
  }
}
