import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { EspalierError } from '@espalier/core';

/** Bytes as the IDX format of MNIST holds them. */
export interface IdxArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/**
 * Reads `<name>` or `<name>.gz` in a folder: unsigned bytes of `rank` dimensions.
 *
 * @throws EspalierError `fashion-mnist/missing`, `fashion-mnist/format`.
 */
export function readIdx(dir: string, name: string, rank: number): IdxArray {
  const path = [name, `${name}.gz`].map((file) => join(dir, file)).find(existsSync);
  if (path === undefined) throw missing(dir, name);
  const bytes = unzipped(path);
  const header = 4 + 4 * rank;
  if (bytes.length < header || bytes.readUInt32BE(0) !== 0x800 + rank) {
    throw damaged(path, `does not begin as an IDX file of bytes in ${rank} dimension(s)`);
  }
  const shape = Array.from({ length: rank }, (_, i) => bytes.readUInt32BE(4 + 4 * i));
  const size = shape.reduce((a, b) => a * b, 1);
  if (bytes.length - header !== size) {
    throw damaged(
      path,
      `should hold ${shape.join(' × ')} bytes, but holds ${bytes.length - header}`,
    );
  }
  return { shape, data: bytes.subarray(header) };
}

function unzipped(path: string): Buffer {
  const bytes = readFileSync(path);
  if (!path.endsWith('.gz')) return bytes;
  try {
    return gunzipSync(bytes);
  } catch (cause) {
    throw damaged(path, `cannot be unpacked (${(cause as Error).message})`, cause);
  }
}

function missing(dir: string, name: string): EspalierError {
  return new EspalierError('fashion-mnist/missing', {
    problem: `there is neither ${name} nor ${name}.gz in ${resolve(dir)}`,
    fix: 'Run npm run setup:fashion-mnist in the root of the repository, or name a folder with the four files by the option dir.',
  });
}

function damaged(path: string, what: string, cause?: unknown): EspalierError {
  return new EspalierError('fashion-mnist/format', {
    problem: `${path} ${what}`,
    fix: 'Remove it and run npm run setup:fashion-mnist again.',
    cause,
  });
}
