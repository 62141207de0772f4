import { createHash } from 'node:crypto';
import { open, readdir, readFile, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { WordStore, WorkStore } from '@espalier/compression';
import { canonicalJson, EspalierError, fileError } from '@espalier/core';
import { claimPlace, makeFolder, removeLeftovers, writeWhole } from '@espalier/core/node';
import type { PlaceClaim } from '@espalier/core/node';

/** What was done of a compression, beside its result, until that is there. */
export class WorkFolder {
  readonly #path: string;
  readonly #open: FileHandle[] = [];
  readonly #claim: PlaceClaim;

  private constructor(path: string) {
    makeFolder(path);
    this.#path = path;
    this.#claim = claimPlace(path);
  }

  /**
   * Opens `<out>.unfinished`, which is this run's alone until it closes. What another input or other options left
   * there is removed.
   *
   * @param tell Is told that a run goes on, or that it begins anew.
   * @throws EspalierError `compress/work`, `place/in-use`.
   */
  static async open(
    out: string,
    key: unknown,
    tell: (message: string) => void,
  ): Promise<WorkFolder> {
    const path = `${resolve(out)}.unfinished`;
    const folder = await withFileErrors(path, async () => new WorkFolder(path));
    try {
      await withFileErrors(path, () => folder.#begin(Buffer.from(hashOf(key)), tell));
    } catch (error) {
      folder.#claim.release();
      throw error;
    }
    return folder;
  }

  async #begin(own: Buffer, tell: (message: string) => void): Promise<void> {
    const name = basename(this.#path);
    await removeLeftovers(this.#path);
    const found = await readFile(join(this.#path, KEY)).catch(ignoreMissing);
    const entries = await listEntries(this.#path);
    if (found?.equals(own)) {
      if (entries.length > 1) tell(`Going on with what ${name} holds of an interrupted run.`);
      return;
    }
    if (found) tell(`${name} is of another input or of other options: beginning anew.`);
    await Promise.all(
      entries.map((entry) => rm(join(this.#path, entry), { recursive: true, force: true })),
    );
    await writeWhole(join(this.#path, KEY), [own]);
  }

  /** Room for the work on one matrix. */
  matrix(name: string): WorkStore {
    const at = (part: string) => join(this.#path, `${encodeURIComponent(name)}.${part}`);
    return {
      read: (part) => withFileErrors(at(part), () => readBytes(at(part))),
      write: (part, pieces) => withFileErrors(at(part), () => writeWhole(at(part), pieces)),
      openWords: (part) =>
        withFileErrors(at(part), async () => {
          const file = await open(at(part), await openingFlags(at(part)));
          this.#open.push(file);
          return wordsOf(file, at(part));
        }),
    };
  }

  /** Closes the files; nothing can be written then. Without content the folder goes. */
  async close(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((file) => file.close()));
    const entries = await listEntries(this.#path).catch(() => []);
    if (entries.length <= 1) await this.remove();
    else this.#claim.release();
  }

  /** Removes it: the result is there. */
  async remove(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((file) => file.close()));
    await withFileErrors(this.#path, () => rm(this.#path, { recursive: true, force: true }));
  }
}

const KEY = 'run';
const START = 2 ** 16;

/** Of the work; what begins with a dot says whose it is. */
async function listEntries(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => !name.startsWith('.'));
}

function hashOf(key: unknown): string {
  return createHash('sha256').update(canonicalJson(key, 'work')).digest('hex');
}

/** What tells a file or a folder from another: path, sizes, times, first bytes. */
export async function identifyInput(path: string): Promise<unknown> {
  const found = await stat(path);
  const isMany = found.isDirectory() || path.endsWith('.json');
  const folder = found.isDirectory() ? path : dirname(path);
  const names = isMany ? (await readdir(folder)).sort() : [basename(path)];
  const files = await Promise.all(names.map((name) => identifyFile(join(folder, name))));
  return { path: resolve(path), files };
}

async function identifyFile(path: string): Promise<unknown> {
  const { size, mtimeMs } = await stat(path);
  const file = await open(path, 'r').catch(() => undefined);
  if (!file) return { path };
  try {
    const { bytesRead, buffer } = await file
      .read(new Uint8Array(START), 0, START, 0)
      .catch(() => ({ bytesRead: 0, buffer: new Uint8Array(0) })); // a folder
    const start = createHash('sha256').update(buffer.subarray(0, bytesRead)).digest('hex');
    return { path, size, mtimeMs, start };
  } finally {
    await file.close();
  }
}

async function readBytes(path: string): Promise<Uint8Array | undefined> {
  const bytes = await readFile(path).catch(ignoreMissing);
  return bytes && new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

async function openingFlags(path: string): Promise<string> {
  return (await stat(path).catch(ignoreMissing)) ? 'r+' : 'w+';
}

function wordsOf(file: FileHandle, path: string): WordStore {
  return {
    write: (at, words) =>
      withFileErrors(path, async () => {
        const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
        for (let done = 0; done < bytes.length;) {
          const { bytesWritten } = await file.write(
            bytes,
            done,
            bytes.length - done,
            4 * at + done,
          );
          done += bytesWritten;
        }
      }),
    read: (begin, end) =>
      withFileErrors(path, async () => {
        const words = new Int32Array(end - begin);
        const bytes = new Uint8Array(words.buffer);
        for (let done = 0, more = 1; done < bytes.length && more > 0; done += more) {
          const length = Math.min(bytes.length - done, LARGEST_READ);
          more = (await file.read(bytes, done, length, 4 * begin + done)).bytesRead;
        }
        return words;
      }),
    flush: () => withFileErrors(path, () => file.datasync()),
  };
}

/** The system reads less than 2 GiB at once. */
const LARGEST_READ = 2 ** 30;

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

async function withFileErrors<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof EspalierError) throw error;
    throw fileError('compress/work', `cannot keep what is done in ${path}`, error);
  }
}
