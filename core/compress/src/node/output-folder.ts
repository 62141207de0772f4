import { readdir, readFile, realpath } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { encodeSafetensors, fileError } from '@espalier/core';
import { fileStore } from '@espalier/core/node';
import type { ArtifactBytes, ArtifactContent, StateDict } from '@espalier/formats';
import { saveArtifact } from '@espalier/formats/node';
import { foreignOutput, outputIsInput, unwritableOutput } from './errors.js';

/** The file of unchanged tensors beside an artifact. */
export const REST = 'rest.safetensors';

/**
 * Refuses a folder that the result cannot go to: one that contains the input or something else than an
 * artifact. {@link compressFile} calls it before it computes anything.
 *
 * @throws EspalierError `compress/output`.
 */
export async function checkOutputFolder(out: string, input: string): Promise<void> {
  const [target, source] = await Promise.all([resolveLinks(out), resolveLinks(input)]);
  if (source === target || source.startsWith(target + sep)) throw outputIsInput(out);
  const names = await readdir(out).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return [];
    throw unwritableOutput(out, cause);
  });
  if (names.length > 0 && !(await isArtifact(out, names))) throw foreignOutput(out, names);
}

/** The real path; of one that does not exist, the absolute path. */
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

/** The unchanged tensors as a safetensors file; empty where there are none. */
export function encodeRest(rest: StateDict): Uint8Array {
  if (rest.size === 0) return new Uint8Array();
  return encodeSafetensors([...rest].map(([name, tensor]) => ({ name, ...tensor })));
}

/** Writes the artifact and, beside it, the unchanged tensors. */
export async function writeOutputFolder(
  out: string,
  content: ArtifactContent,
  rest: Uint8Array,
): Promise<ArtifactBytes> {
  const bytes = await saveArtifact(out, content);
  const store = fileStore(out);
  if (rest.length === 0) {
    await store.remove(REST); // an earlier result may have left one
    return bytes;
  }
  await store.write(REST, rest).catch(({ cause }: Error) => {
    throw fileError('compress/output', `cannot write ${REST} beside the artifact in ${out}`, cause);
  });
  return bytes;
}
