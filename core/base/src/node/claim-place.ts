import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { EspalierError } from '../error.js';
import { findState, identifySelf } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';

/** A place that is one run's alone. */
export interface PlaceClaim {
  /** @throws EspalierError `place/taken-over` where it is another run's by now. */
  check(): void;
  /** Gives it back; another run may take it. */
  release(): void;
}

/** How to take a place. */
export interface ClaimOptions {
  /** Whose it may be taken from, though nobody here can tell whether that run has ended: the name in the error. */
  readonly takeOver?: string | undefined;
  /** Only this file of the folder; its owner is in `.owner-<file>.json`. */
  readonly file?: string;
}

/** Who has a place, as its file says. */
interface Owner extends ProcessIdentity {
  /** ISO 8601. */
  readonly since: string;
  /** Tells claims of one process apart. */
  readonly id: string;
}

/**
 * Makes a folder one run's, by a file in it (`.owner.json`) with host, process and its start. A file of a process
 * that has ended counts for nothing. On another host, or in another container, nobody can tell: such a
 * place is refused unless `takeOver` names its owner, whose next `check` then fails.
 *
 * @param folder An existing folder.
 * @throws EspalierError `place/in-use`; what the file system throws.
 * @example
 * const claim = claimPlace('runs/a');
 * claim.check(); // before each write
 * claim.release();
 */
export function claimPlace(folder: string, { takeOver, file: of }: ClaimOptions = {}): PlaceClaim {
  const file = join(folder, of === undefined ? '.owner.json' : `.owner-${of}.json`);
  const place = of === undefined ? folder : join(folder, of);
  const own: Owner = { ...identifySelf(), since: new Date().toISOString(), id: randomUUID() };
  const text = JSON.stringify(own);
  while (!create(file, text)) {
    const found = readText(file);
    if (found === undefined) continue;
    refuseUnlessFree({ place, file }, readOwner(found), takeOver);
    removeExactly(file, found);
  }
  const isOwn = () => readText(file) === text;
  return {
    check() {
      if (!isOwn()) throw takenOverError(place, readOwner(readText(file)));
    },
    release() {
      if (isOwn()) fs.rmSync(file, { force: true });
    },
  };
}

/** Makes the file with its whole content at once; false where there is one. */
function create(file: string, text: string): boolean {
  const aside = `${file}-${randomUUID()}`;
  try {
    fs.writeFileSync(aside, text, { flush: true });
    fs.linkSync(aside, file);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (!WITHOUT_LINKS.includes(code ?? '')) throw error;
    return copyNew(aside, file);
  } finally {
    fs.rmSync(aside, { force: true });
  }
}

/** What file systems without hard links answer. */
const WITHOUT_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV'];

function copyNew(from: string, to: string): boolean {
  try {
    fs.copyFileSync(from, to, fs.constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes a file of this content; one that another process made meanwhile is put back. */
function removeExactly(file: string, text: string): void {
  const aside = `${file}-${randomUUID()}`;
  try {
    fs.renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const moved = readText(aside);
  if (moved !== undefined && moved !== text) create(file, moved);
  fs.rmSync(aside, { force: true });
}

function readText(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Undefined where the text is none that {@link claimPlace} wrote. */
function readOwner(text = ''): Owner | undefined {
  try {
    const owner = JSON.parse(text) as Partial<Owner> | null;
    const isWhole = typeof owner?.host === 'string' && Number.isInteger(owner.pid);
    return isWhole ? (owner as Owner) : undefined;
  } catch {
    return undefined;
  }
}

function refuseUnlessFree(
  { place, file }: { readonly place: string; readonly file: string },
  owner: Owner | undefined,
  takeOver?: string,
): void {
  const state = owner ? findState(owner) : 'elsewhere';
  const name = nameOf(owner);
  if (state === 'gone' || (state === 'elsewhere' && takeOver === name)) return;
  const isHere = state === 'running';
  throw new EspalierError('place/in-use', {
    problem: `${place} belongs to another run, ${describe(owner)}`,
    fix: isHere
      ? 'Wait until it has ended, end it, or choose another place. Nothing was touched.'
      : `Nobody here can tell whether it has ended. If it has, take over from it by its name: takeOver: '${name}' (checkpoint.takeOver of a configuration, an option of fileStore), or remove ${file}. Nothing was touched.`,
    details: isHere ? {} : { takeOver: name },
  });
}

function takenOverError(place: string, owner: Owner | undefined): EspalierError {
  return new EspalierError('place/taken-over', {
    problem: `${place} is no longer this run's: it was taken over by ${describe(owner)}`,
    fix: 'Let one run go on only. Nothing was written there since.',
  });
}

function nameOf(owner: Owner | undefined): string {
  return owner ? `${owner.host}:${owner.pid}` : 'unknown';
}

function describe(owner: Owner | undefined): string {
  if (!owner) return 'which one is unknown';
  const { host, pid, since } = owner;
  const own = pid === process.pid && host === identifySelf().host ? ' (this process)' : '';
  return `process ${pid}${own} on ${host}, since ${since}`;
}
