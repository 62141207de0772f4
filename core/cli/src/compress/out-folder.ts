import { readdir, readFile, realpath } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { encodeSafetensors, EspalierError, fileError } from '@espalier/core';
import { fileStore } from '@espalier/core/node';
import type { ArtifactBytes, ArtifactContent, StateDict } from '@espalier/formats';
import { saveArtifact } from '@espalier/formats/node';

/** What is carried along, beside an artifact. */
export const REST = 'rest.safetensors';
const REPORT = 'report.html';

/**
 * Refuses a folder that the result could not be written into, before anything is computed.
 *
 * @throws EspalierError `cli/out`.
 */
export async function checkOutFolder(out: string, input: string): Promise<void> {
  const [target, source] = await Promise.all([resolveLinks(out), resolveLinks(input)]);
  if (source === target || source.startsWith(target + sep)) {
    throw new EspalierError('cli/out', {
      problem: 'the result would take the place of the input',
      received: out,
      fix: 'Choose another --out.',
    });
  }
  const names = await readdir(out).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return [];
    throw new EspalierError('cli/out', {
      problem: `cannot write to ${out}: ${cause.message}`,
      cause,
    });
  });
  if (names.length === 0 || (await isArtifact(out, names))) return;
  throw new EspalierError('cli/out', {
    problem: `${out} holds something else than an artifact`,
    received: names.slice(0, 5),
    fix: 'Choose an empty or new folder for --out. What is there is untouched.',
  });
}

/** Links followed, as far as there is something. */
function resolveLinks(path: string): Promise<string> {
  return realpath(path).catch(() => resolve(path));
}

async function isArtifact(out: string, names: readonly string[]): Promise<boolean> {
  if (!names.includes('manifest.json')) return false;
  try {
    const text = await readFile(join(out, 'manifest.json'), 'utf8');
    return (JSON.parse(text) as { format?: unknown }).format === 'espalier-artifact';
  } catch {
    return false;
  }
}

/** The tensors that are carried along, as a file of their own. */
export function encodeRest(rest: StateDict): Uint8Array {
  if (rest.size === 0) return new Uint8Array();
  return encodeSafetensors([...rest].map(([name, tensor]) => ({ name, ...tensor })));
}

/** Writes the artifact, and beside it what is carried along. */
export async function writeArtifactFolder(
  out: string,
  content: ArtifactContent,
  rest: Uint8Array,
): Promise<ArtifactBytes> {
  const bytes = await saveArtifact(out, content);
  if (rest.length > 0) await writeAtomically(out, REST, rest);
  else await fileStore(out).remove(REST); // of an earlier result
  return bytes;
}

/** Writes the page beside the artifact. */
export function writeReport(out: string, page: string): Promise<void> {
  return writeAtomically(out, REPORT, new TextEncoder().encode(page));
}

async function writeAtomically(out: string, name: string, bytes: Uint8Array): Promise<void> {
  await fileStore(out)
    .write(name, bytes)
    .catch(({ cause }: Error) => {
      throw fileError('cli/out', `cannot write ${name} beside the artifact in ${out}`, cause);
    });
}
